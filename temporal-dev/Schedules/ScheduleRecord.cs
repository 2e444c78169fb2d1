using System.Text.Json;
using Google.Protobuf;
using Temporalio.Api.Common.V1;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.Failure.V1;
using Temporalio.Api.Schedule.V1;

namespace SnapshotFlow.TemporalDev.Schedules;

/// <summary>An action whose time has come and which is not started yet.</summary>
/// <param name="Number">Its place among all actions of the schedule; two actions for the same time are different requests.</param>
/// <param name="Nominal">The time it belongs to; part of the workflow id.</param>
/// <param name="Actual">The same with jitter.</param>
/// <param name="Overlap">What to do while another action runs; unspecified means the schedule's own policy.</param>
/// <param name="Manual">Triggered or backfilled: neither a pause nor used-up actions hold it back.</param>
internal sealed record BufferedStart(long Number, DateTimeOffset Nominal, DateTimeOffset Actual, ScheduleOverlapPolicy Overlap, bool Manual);

/// <summary>A workflow that the schedule started and that has not closed.</summary>
/// <param name="WorkflowId">Its id.</param>
/// <param name="FirstRunId">The first run of its chain: retries and continued runs are the same action.</param>
/// <param name="Overlapping">Started under ALLOW_ALL: it does not keep others from starting.</param>
internal sealed record ActionRun(string WorkflowId, string FirstRunId, bool Overlapping);

/// <summary>A stretch of time whose actions are still to be taken. The start is exclusive and moves on.</summary>
internal sealed record Backfill(DateTimeOffset After, DateTimeOffset Until, ScheduleOverlapPolicy Overlap);

/// <summary>Everything one schedule is: what its owner asked for and how far it has got. Plain data, stored as a whole after every change.</summary>
internal sealed class ScheduleRecord
{
    private const int MaxSeenRequests = 100;

    public required string Namespace { get; init; }

    public required string Id { get; init; }

    /// <summary>Differs between schedules that had the same id one after the other, so that their starts are different requests.</summary>
    public required string Incarnation { get; init; }

    public required string CreateRequestId { get; init; }

    /// <summary>Spec in canonical form, defaults of the policies written out.</summary>
    public required Schedule Schedule { get; set; }

    /// <summary>The counters, recent actions and times of the description. Running workflows and future times are derived.</summary>
    public ScheduleInfo Info { get; init; } = new();

    public Memo? Memo { get; set; }

    public SearchAttributes? SearchAttributes { get; set; }

    /// <summary>Counts changes that an update must not overwrite unseen; the conflict token.</summary>
    public long Revision { get; set; } = 1;

    /// <summary>Times due up to and including this one have been buffered, skipped or missed.</summary>
    public DateTimeOffset ProcessedUntil { get; set; }

    public List<BufferedStart> Buffer { get; init; } = [];

    /// <summary>How many actions were ever buffered.</summary>
    public long Buffered { get; set; }

    /// <summary>Decided starts. Written down before they are made, so that a crash in between repeats exactly them.</summary>
    public List<BufferedStart> Starting { get; init; } = [];

    public List<ActionRun> Running { get; init; } = [];

    public List<Backfill> Backfills { get; init; } = [];

    /// <summary>Result of the latest action that completed; the next action sees it.</summary>
    public Payloads? LastCompletionResult { get; set; }

    /// <summary>Failure of the latest action when it failed.</summary>
    public Failure? ContinuedFailure { get; set; }

    /// <summary>The latest write requests, oldest first: a repeated one changes nothing.</summary>
    public List<string> SeenRequests { get; init; } = [];

    /// <summary>False when a request of this id was seen before. An empty id is always new.</summary>
    public bool IsNew(string requestId)
    {
        if (requestId.Length == 0)
        {
            return true;
        }

        if (SeenRequests.Contains(requestId))
        {
            return false;
        }

        SeenRequests.Add(requestId);
        if (SeenRequests.Count > MaxSeenRequests)
        {
            SeenRequests.RemoveAt(0);
        }

        return true;
    }

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(new Stored(
        Namespace, Id, Incarnation, CreateRequestId, Schedule.ToByteArray(), Info.ToByteArray(), Memo?.ToByteArray(), SearchAttributes?.ToByteArray(), Revision,
        ProcessedUntil, Buffer, Buffered, Starting, Running, Backfills, LastCompletionResult?.ToByteArray(), ContinuedFailure?.ToByteArray(), SeenRequests));

    public static ScheduleRecord FromBytes(byte[] bytes)
    {
        var stored = JsonSerializer.Deserialize<Stored>(bytes) ?? throw new FormatException("the stored schedule is empty");
        return new ScheduleRecord
        {
            Namespace = stored.Namespace,
            Id = stored.Id,
            Incarnation = stored.Incarnation,
            CreateRequestId = stored.CreateRequestId,
            Schedule = Schedule.Parser.ParseFrom(stored.Schedule),
            Info = ScheduleInfo.Parser.ParseFrom(stored.Info),
            Memo = stored.Memo is null ? null : Memo.Parser.ParseFrom(stored.Memo),
            SearchAttributes = stored.SearchAttributes is null ? null : SearchAttributes.Parser.ParseFrom(stored.SearchAttributes),
            Revision = stored.Revision,
            ProcessedUntil = stored.ProcessedUntil,
            Buffer = stored.Buffer,
            Buffered = stored.Buffered,
            Starting = stored.Starting,
            Running = stored.Running,
            Backfills = stored.Backfills,
            LastCompletionResult = stored.LastCompletionResult is null ? null : Payloads.Parser.ParseFrom(stored.LastCompletionResult),
            ContinuedFailure = stored.ContinuedFailure is null ? null : Failure.Parser.ParseFrom(stored.ContinuedFailure),
            SeenRequests = stored.SeenRequests,
        };
    }

    /// <summary>The stored form: JSON, protocol messages in it as their bytes.</summary>
    private sealed record Stored(
        string Namespace,
        string Id,
        string Incarnation,
        string CreateRequestId,
        byte[] Schedule,
        byte[] Info,
        byte[]? Memo,
        byte[]? SearchAttributes,
        long Revision,
        DateTimeOffset ProcessedUntil,
        List<BufferedStart> Buffer,
        long Buffered,
        List<BufferedStart> Starting,
        List<ActionRun> Running,
        List<Backfill> Backfills,
        byte[]? LastCompletionResult,
        byte[]? ContinuedFailure,
        List<string> SeenRequests);
}
