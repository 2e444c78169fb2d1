using System.Collections.Concurrent;
using Google.Protobuf;
using Temporalio.Api.History.V1;

namespace SnapshotFlow.Tests.TemporalDev.Durability;

/// <summary>What clients and workers were told. Whatever contradicts it later is a violation.</summary>
internal sealed class Witness
{
    private readonly ConcurrentDictionary<(string RunId, long EventId), ByteString> seen = new();
    private readonly ConcurrentQueue<string> violations = new();

    public int SeenEvents => seen.Count;

    public IReadOnlyCollection<string> Violations => violations;

    /// <summary>Somebody was shown these events. An event never changes after that.</summary>
    public void See(string runId, IEnumerable<HistoryEvent> events)
    {
        foreach (var e in events)
        {
            var bytes = e.ToByteString();
            if (!seen.GetOrAdd((runId, e.EventId), bytes).Equals(bytes))
            {
                Accuse($"event {e.EventId} of run {runId} is now {e}, and was {HistoryEvent.Parser.ParseFrom(seen[(runId, e.EventId)])}");
            }
        }
    }

    /// <summary>The events of a run that somebody was shown and that its final history lacks.</summary>
    public void CompareWithFinal(string runId, IReadOnlyCollection<HistoryEvent> final)
    {
        See(runId, final);
        if (seen.Keys.Where(k => k.RunId == runId).Select(k => k.EventId).DefaultIfEmpty().Max() > final.Count)
        {
            Accuse($"run {runId} ends with event {final.Count}, and somebody saw later ones");
        }
    }

    public void Accuse(string violation) => violations.Enqueue(violation);
}
