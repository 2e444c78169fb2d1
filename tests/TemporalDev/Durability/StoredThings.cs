using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using SnapshotFlow.TemporalDev.Store;
using Temporalio.Api.Common.V1;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.History.V1;
using Temporalio.Api.Workflow.V1;

namespace SnapshotFlow.Tests.TemporalDev.Durability;

/// <summary>What the store tests write.</summary>
internal static class StoredThings
{
    public static RunKey Run(string workflowId = "w") => new("default", workflowId, Guid.NewGuid().ToString());

    public static Transition Of(params RunChange[] changes) => new(changes, [], []);

    /// <summary>Events <paramref name="first"/> to <paramref name="last"/> of a run.</summary>
    public static RunChange Change(RunKey run, int first, int last, string side = "{}", bool isCurrent = true, bool isLive = true, int size = 10) =>
        new(run, first, [.. Enumerable.Range(first, last - first + 1).Select(id => Event(id, size))], System.Text.Encoding.UTF8.GetBytes(side), Header(run, isCurrent, isLive));

    public static RunHeader Header(RunKey run, bool isCurrent = true, bool isLive = true) => new(
        new WorkflowExecutionInfo
        {
            Execution = new WorkflowExecution { WorkflowId = run.WorkflowId, RunId = run.RunId },
            Type = new WorkflowType { Name = "T" },
            Status = isLive ? WorkflowExecutionStatus.Running : WorkflowExecutionStatus.Completed,
        },
        $"request of {run.RunId}",
        isCurrent,
        isLive);

    private static HistoryEvent Event(int id, int size) => new()
    {
        EventId = id,
        EventTime = Timestamp.FromDateTimeOffset(DateTimeOffset.UnixEpoch.AddSeconds(id)),
        EventType = EventType.WorkflowExecutionSignaled,
        WorkflowExecutionSignaledEventAttributes = new WorkflowExecutionSignaledEventAttributes
        {
            SignalName = $"signal {id}",
            Input = new Payloads { Payloads_ = { new Payload { Data = ByteString.CopyFrom(new byte[size]) } } },
        },
    };
}
