namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>One page of a history: from an event on, up to a number of events and about a number of bytes.</summary>
internal sealed class HistoryPage(int first, int maximumEvents)
{
    /// <summary>Events in one workflow task; the worker fetches the rest by itself.</summary>
    public const int TaskPageSize = 2_000;

    /// <summary>Well below the 4 MiB at which many gRPC clients refuse a message. A single larger event still goes alone.</summary>
    private const long MaximumBytes = 2 * 1024 * 1024;

    /// <summary>Adds the page's events, and answers the token of the next page or an empty one at the end.</summary>
    public ByteString Fill(Run run, History history, bool withTransientTask)
    {
        var next = first;
        long bytes = 0;
        while (next < run.History.Count && next - first < maximumEvents && (next == first || bytes < MaximumBytes))
        {
            var e = run.History[next++];
            bytes += e.CalculateSize();
            history.Events.Add(e);
        }

        if (next < run.History.Count)
        {
            return new PageToken(run.RunId, next, withTransientTask).Encode();
        }

        if (withTransientTask)
        {
            history.Events.Add(run.TransientTaskEvents());
        }

        return ByteString.Empty;
    }
}

/// <summary>Where the next page of a history begins. It names the run, because a caller does not repeat a run id that it did not know.</summary>
internal sealed record PageToken(string RunId, int Next, bool WithTransientTask = false)
{
    public ByteString Encode() => ByteString.CopyFromUtf8($"{RunId}|{Next}|{(WithTransientTask ? 1 : 0)}");

    public static PageToken? Decode(ByteString token)
    {
        if (token.IsEmpty)
        {
            return null;
        }

        return token.ToStringUtf8().Split('|') is [{ Length: > 0 } run, var next, var transient] && int.TryParse(next, out var index) && index >= 0
            ? new PageToken(run, index, transient == "1")
            : throw Fault.Invalid("Invalid NextPageToken.");
    }
}
