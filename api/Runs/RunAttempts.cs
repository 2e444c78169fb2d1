using Google.Protobuf.Collections;
using Microsoft.Extensions.Options;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.Failure.V1;
using Temporalio.Api.History.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Client;
using Temporalio.Converters;
using Temporalio.Exceptions;

namespace SnapshotFlow.Api.Runs;

/// <summary>An activity of a run, and how often it was tried.</summary>
/// <param name="Name">The activity's type.</param>
/// <param name="Summary">What it does to what; null when its name says it all.</param>
/// <param name="ScheduledAt">When the run asked for it.</param>
/// <param name="Attempts">How often it was begun; 0 when nobody has taken it yet.</param>
/// <param name="LastFailure">Why the last attempt that failed did; null when none has, or when Temporal says no more.</param>
/// <param name="Pending">Whether it goes on.</param>
public sealed record ActivityAttempts(string Name, string? Summary, DateTimeOffset ScheduledAt, int Attempts, string? LastFailure, bool Pending);

/// <summary>Reads from Temporal how often each activity of a run was tried: the run's own steps do not know.</summary>
internal sealed class RunAttempts(ITemporalClient temporal, IOptions<RunOptions> options)
{
    /// <summary>Histories of these runs are far shorter; what is beyond is not looked at.</summary>
    private const int MostEvents = 1000;

    /// <summary>In the order they were asked for. Null when Temporal does not answer in time, or does not know the run any more.</summary>
    public async Task<IReadOnlyList<ActivityAttempts>?> OfAsync(ImageId image, bool running, CancellationToken ct)
    {
        try
        {
            return await temporal.WithinAsync(options.Value.ProgressTimeout, ct, rpc => ReadAsync(Names.CreateImageWorkflow(image), running, rpc));
        }
        catch (Exception e) when (e is Faults.Fault or RpcException)
        {
            return null;
        }
    }

    private async Task<IReadOnlyList<ActivityAttempts>> ReadAsync(string workflow, bool running, RpcOptions rpc)
    {
        var history = await temporal.WorkflowService.GetWorkflowExecutionHistoryAsync(
            new GetWorkflowExecutionHistoryRequest { Namespace = temporal.Options.Namespace, Execution = new() { WorkflowId = workflow }, MaximumPageSize = MostEvents }, rpc);
        Dictionary<string, Temporalio.Api.Workflow.V1.PendingActivityInfo> pending = [];
        if (running)
        {
            var description = await temporal.WorkflowService.DescribeWorkflowExecutionAsync(
                new DescribeWorkflowExecutionRequest { Namespace = temporal.Options.Namespace, Execution = new() { WorkflowId = workflow } }, rpc);
            pending = description.PendingActivities.ToDictionary(p => p.ActivityId);
        }

        var events = history.History.Events;
        var started = events.Where(e => e.EventType is EventType.ActivityTaskStarted).ToDictionary(e => e.ActivityTaskStartedEventAttributes.ScheduledEventId, e => e.ActivityTaskStartedEventAttributes);
        var failed = Failures(events);
        return
        [
            .. events.Where(e => e.EventType is EventType.ActivityTaskScheduled).Select(e =>
            {
                var scheduled = e.ActivityTaskScheduledEventAttributes;
                var begun = started.GetValueOrDefault(e.EventId);
                var waits = pending.GetValueOrDefault(scheduled.ActivityId);
                return new ActivityAttempts(
                    scheduled.ActivityType.Name,
                    e.UserMetadata?.Summary is { } summary ? temporal.Options.DataConverter.PayloadConverter.ToValue<string>(summary) : null,
                    e.EventTime.ToDateTimeOffset(),
                    waits?.Attempt ?? begun?.Attempt ?? 0,
                    Message(waits?.LastFailure) ?? Message(failed.GetValueOrDefault(e.EventId)) ?? Message(begun?.LastFailure),
                    waits is not null);
            }),
        ];
    }

    private static Dictionary<long, Failure> Failures(RepeatedField<HistoryEvent> events)
    {
        Dictionary<long, Failure> failures = [];
        foreach (var e in events)
        {
            if (e.ActivityTaskFailedEventAttributes is { } failed)
            {
                failures[failed.ScheduledEventId] = failed.Failure;
            }
            else if (e.ActivityTaskTimedOutEventAttributes is { } timedOut)
            {
                failures[timedOut.ScheduledEventId] = timedOut.Failure;
            }
        }

        return failures;
    }

    private static string? Message(Failure? failure) => failure is null ? null : failure.Cause is { } cause ? Message(cause) : failure.Message;
}
