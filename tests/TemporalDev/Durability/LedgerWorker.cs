using System.Collections.Concurrent;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Temporalio.Api.Command.V1;
using Temporalio.Api.Common.V1;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.Failure.V1;
using Temporalio.Api.History.V1;
using Temporalio.Api.TaskQueue.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.TemporalDev.Durability;

/// <summary>
/// A worker that speaks the protocol itself, so that it knows what it was handed and which of its answers were acknowledged. Its
/// workflow runs <see cref="Entries"/> activities after each other; each fails twice, with a heartbeat per attempt, and then succeeds.
/// </summary>
internal sealed class LedgerWorker(WorkflowService service, Witness witness, string queue)
{
    public const string WorkflowType = "Ledger";

    public const int Entries = 4;

    private const string Identity = "ledger";
    private const int FailingAttempts = 2;

    private readonly ConcurrentDictionary<(string RunId, long Scheduled, int Attempt), bool> tasks = new();
    private readonly ConcurrentDictionary<(string RunId, string Activity, int Attempt), bool> attempts = new();
    private readonly ConcurrentDictionary<(string RunId, string Activity), int> heartbeats = new();
    private readonly ConcurrentDictionary<(string RunId, string Activity), int> failures = new();
    private readonly ConcurrentDictionary<(string RunId, string Activity), string> results = new();
    private readonly ConcurrentDictionary<(string RunId, long StartedEventId), bool> completedTasks = new();

    /// <summary>Answers that the server acknowledged.</summary>
    public int Acknowledged => completedTasks.Count + results.Count + failures.Count + heartbeats.Count;

    public Task RunAsync(CancellationToken cancellationToken) => Task.WhenAll(
        PollAsync(PollWorkflowTaskAsync, cancellationToken), PollAsync(PollWorkflowTaskAsync, cancellationToken),
        PollAsync(PollActivityAsync, cancellationToken), PollAsync(PollActivityAsync, cancellationToken), PollAsync(PollActivityAsync, cancellationToken));

    /// <summary>Everything acknowledged must be in the run's final history, once.</summary>
    public void CompareWithFinal(string runId, IReadOnlyList<HistoryEvent> history)
    {
        var written = history.Where(e => e.WorkflowTaskCompletedEventAttributes is not null).Select(e => e.WorkflowTaskCompletedEventAttributes.StartedEventId).ToHashSet();
        foreach (var (run, started) in completedTasks.Keys.Where(k => k.RunId == runId && !written.Contains(k.StartedEventId)))
        {
            witness.Accuse($"the completion of workflow task {started} of run {run} was acknowledged and is lost");
        }

        foreach (var ((_, activity), result) in results.Where(r => r.Key.RunId == runId))
        {
            var scheduled = history.Single(e => e.ActivityTaskScheduledEventAttributes?.ActivityId == activity).EventId;
            var completed = history.Where(e => e.ActivityTaskCompletedEventAttributes?.ScheduledEventId == scheduled).ToList();
            if (completed is not [var only] || only.ActivityTaskCompletedEventAttributes.Result.Payloads_[0].Data.ToStringUtf8() != result)
            {
                witness.Accuse($"activity {activity} of run {runId} was acknowledged with {result}; its history has {string.Join("; ", completed)}");
            }
        }
    }

    private static async Task PollAsync(Func<RpcOptions, Task> poll, CancellationToken cancellationToken)
    {
        var options = new RpcOptions { Retry = false, CancellationToken = cancellationToken };
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await poll(options);
            }
            catch (RpcException e) when (Insisting.HasNoAnswer(e))
            {
                if (!cancellationToken.IsCancellationRequested)
                {
                    await Task.Delay(TimeSpan.FromMilliseconds(50), CancellationToken.None);
                }
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                // The test is over.
            }
        }
    }

    private async Task PollWorkflowTaskAsync(RpcOptions options)
    {
        var task = await service.PollWorkflowTaskQueueAsync(
            new PollWorkflowTaskQueueRequest { Namespace = "default", TaskQueue = new TaskQueue { Name = queue }, Identity = Identity }, options);
        if (task.TaskToken.IsEmpty)
        {
            return;
        }

        var runId = task.WorkflowExecution.RunId;
        var history = task.History.Events;

        // From the second attempt on the last two events are a preview of what will be written if the attempt succeeds.
        witness.See(runId, task.Attempt > 1 ? history.SkipLast(2) : history);
        if (!tasks.TryAdd((runId, history[^2].EventId, task.Attempt), true))
        {
            witness.Accuse($"attempt {task.Attempt} of workflow task {history[^2].EventId} of run {runId} was handed out twice");
        }

        var done = history.Count(e => e.EventType == EventType.ActivityTaskCompleted);
        var pending = history.Count(e => e.EventType == EventType.ActivityTaskScheduled) > done;
        var request = new RespondWorkflowTaskCompletedRequest { Namespace = "default", TaskToken = task.TaskToken, Identity = Identity };
        if (!pending)
        {
            request.Commands.Add(done == Entries ? Complete(done) : Schedule(done));
        }

        if (await AcknowledgedAsync(() => service.RespondWorkflowTaskCompletedAsync(request, options)))
        {
            completedTasks[(runId, task.StartedEventId)] = true;
        }
    }

    private async Task PollActivityAsync(RpcOptions options)
    {
        var task = await service.PollActivityTaskQueueAsync(
            new PollActivityTaskQueueRequest { Namespace = "default", TaskQueue = new TaskQueue { Name = queue }, Identity = Identity }, options);
        if (task.TaskToken.IsEmpty)
        {
            return;
        }

        var activity = (task.WorkflowExecution.RunId, task.ActivityId);
        if (!attempts.TryAdd((activity.RunId, activity.ActivityId, task.Attempt), true))
        {
            witness.Accuse($"attempt {task.Attempt} of activity {activity} was handed out twice");
        }

        if (failures.TryGetValue(activity, out var failed) && task.Attempt <= failed)
        {
            witness.Accuse($"attempt {task.Attempt} of activity {activity} comes after the acknowledged failure of attempt {failed}");
        }

        if (results.ContainsKey(activity))
        {
            witness.Accuse($"activity {activity} was handed out again after its completion was acknowledged");
        }

        var beat = task.HeartbeatDetails is null ? 0 : int.Parse(task.HeartbeatDetails.Payloads_[0].Data.ToStringUtf8(), System.Globalization.CultureInfo.InvariantCulture);
        if (beat < heartbeats.GetValueOrDefault(activity))
        {
            witness.Accuse($"activity {activity} starts with heartbeat {beat}, and {heartbeats[activity]} was acknowledged");
        }

        await AnswerAsync(task, activity, beat + 1, options);
    }

    private async Task AnswerAsync(PollActivityTaskQueueResponse task, (string, string) activity, int beat, RpcOptions options)
    {
        var heartbeat = new RecordActivityTaskHeartbeatRequest { Namespace = "default", TaskToken = task.TaskToken, Identity = Identity, Details = Json(beat.ToString(System.Globalization.CultureInfo.InvariantCulture)) };
        if (await AcknowledgedAsync(() => service.RecordActivityTaskHeartbeatAsync(heartbeat, options)))
        {
            heartbeats[activity] = beat;
        }

        if (task.Attempt <= FailingAttempts)
        {
            var failure = new RespondActivityTaskFailedRequest
            {
                Namespace = "default",
                TaskToken = task.TaskToken,
                Identity = Identity,
                Failure = new Failure { Message = $"attempt {task.Attempt}", ApplicationFailureInfo = new ApplicationFailureInfo { Type = "Planned" } },
            };
            if (await AcknowledgedAsync(() => service.RespondActivityTaskFailedAsync(failure, options)))
            {
                failures[activity] = task.Attempt;
            }

            return;
        }

        var result = $"\"{Guid.NewGuid()}\"";
        var completion = new RespondActivityTaskCompletedRequest { Namespace = "default", TaskToken = task.TaskToken, Identity = Identity, Result = Json(result) };
        if (await AcknowledgedAsync(() => service.RespondActivityTaskCompletedAsync(completion, options)))
        {
            results[activity] = result;
        }
    }

    /// <summary>False when the server answered that the task is over, or went away under the call.</summary>
    private static async Task<bool> AcknowledgedAsync(Func<Task> call)
    {
        try
        {
            await call();
            return true;
        }
        catch (RpcException e) when (e.Code == RpcException.StatusCode.NotFound || Insisting.HasNoAnswer(e))
        {
            return false;
        }
    }

    private Command Schedule(int entry) => new()
    {
        CommandType = CommandType.ScheduleActivityTask,
        ScheduleActivityTaskCommandAttributes = new ScheduleActivityTaskCommandAttributes
        {
            ActivityId = $"entry-{entry}",
            ActivityType = new ActivityType { Name = "Enter" },
            TaskQueue = new TaskQueue { Name = queue },
            StartToCloseTimeout = Duration.FromTimeSpan(TimeSpan.FromSeconds(2)),
            RetryPolicy = new RetryPolicy
            {
                InitialInterval = Duration.FromTimeSpan(TimeSpan.FromMilliseconds(100)),
                BackoffCoefficient = 1.5,
                MaximumInterval = Duration.FromTimeSpan(TimeSpan.FromMilliseconds(500)),
            },
        },
    };

    private static Command Complete(int entries) => new()
    {
        CommandType = CommandType.CompleteWorkflowExecution,
        CompleteWorkflowExecutionCommandAttributes = new CompleteWorkflowExecutionCommandAttributes { Result = Json($"\"{entries} entries\"") },
    };

    private static Payloads Json(string json) => new()
    {
        Payloads_ = { new Payload { Metadata = { ["encoding"] = ByteString.CopyFromUtf8("json/plain") }, Data = ByteString.CopyFromUtf8(json) } },
    };
}
