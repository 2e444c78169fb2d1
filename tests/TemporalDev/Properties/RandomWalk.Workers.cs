using Google.Protobuf;
using Grpc.Core;
using SnapshotFlow.TemporalDev.Engine;
using Temporalio.Api.Command.V1;
using Temporalio.Api.Common.V1;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.Failure.V1;
using Temporalio.Api.TaskQueue.V1;
using Temporalio.Api.WorkflowService.V1;

namespace SnapshotFlow.Tests.TemporalDev.Properties;

/// <summary>What workers ask for and answer, some of it late or twice.</summary>
internal sealed partial class RandomWalk
{
    private async Task PollTaskAsync(List<RunModel> startable)
    {
        Say("poll a workflow task");
        var poll = server.Service.PollWorkflowTaskQueue(
            new PollWorkflowTaskQueueRequest { Namespace = "default", TaskQueue = new TaskQueue { Name = Queue }, Identity = Identity }, Call());
        if (!await AnswersAsync(poll))
        {
            await RestartAsync(() => Fork(startable, model => model.StartTask(Now)));
            return;
        }

        var task = await poll;
        Assert.False(task.TaskToken.IsEmpty, Explain($"no task was handed out, and {startable.Count} are scheduled"));
        var run = Model(task.WorkflowExecution.RunId);
        Assert.True(run.CanStartTask, Explain($"run {run.RunId} has no task to hand out"));
        run.StartTask(Now);
        Assert.Equal(run.TaskAttempt, task.Attempt);
        Assert.Equal(task.StartedEventId, task.History.Events[^1].EventId);
        tasks.Add((task.TaskToken, run.RunId, run.TaskNumber, run.TaskAttempt));
    }

    private async Task PollActivityAsync(List<RunModel> ready)
    {
        Say("poll an activity");
        var poll = server.Service.PollActivityTaskQueue(
            new PollActivityTaskQueueRequest { Namespace = "default", TaskQueue = new TaskQueue { Name = Queue }, Identity = Identity }, Call());
        if (!await AnswersAsync(poll))
        {
            await RestartAsync(() =>
            {
                foreach (var run in ready)
                {
                    runs[run.RunId].AddRange(run.ReadyActivities.Select(activity =>
                    {
                        var started = run.Clone();
                        started.StartActivity(activity, Now);
                        return started;
                    }));
                }
            });
            return;
        }

        var task = await poll;
        Assert.False(task.TaskToken.IsEmpty, Explain("no activity was handed out, and some are scheduled"));
        var handed = Model(task.WorkflowExecution.RunId);
        Assert.True(handed.ReadyActivities.Contains(task.ActivityId), Explain($"activity {task.ActivityId} was handed out and is not scheduled"));
        handed.StartActivity(task.ActivityId, Now);
        attempts.Add((task.TaskToken, handed.RunId, task.ActivityId, task.Attempt));
    }

    private async Task AnswerTaskAsync((ByteString Token, string Run, int TaskNumber, int Attempt) task)
    {
        var run = Model(task.Run);
        var isCurrent = run.IsOpen && run.Task == TaskPhase.Started && run.TaskNumber == task.TaskNumber && run.TaskAttempt == task.Attempt;
        if (!isCurrent)
        {
            Say("answer a task that is over");
            tasks.Remove(task);
            await RefusedAsync(StatusCode.NotFound, () => server.Service.RespondWorkflowTaskCompleted(
                new RespondWorkflowTaskCompletedRequest { Namespace = "default", TaskToken = task.Token, Identity = Identity }, Call()));
            return;
        }

        if (random.Next(6) == 0)
        {
            await DoAsync(
                "fail the task",
                run,
                model => model.FailTask(Now),
                () => server.Service.RespondWorkflowTaskFailed(
                    new RespondWorkflowTaskFailedRequest
                    {
                        Namespace = "default",
                        TaskToken = task.Token,
                        Identity = Identity,
                        Cause = WorkflowTaskFailedCause.WorkflowWorkerUnhandledFailure,
                        Failure = new Failure { Message = "no", ApplicationFailureInfo = new ApplicationFailureInfo() },
                    },
                    Call()));
            return;
        }

        await CompleteTaskAsync(task, run);
    }

    private async Task CompleteTaskAsync((ByteString Token, string Run, int TaskNumber, int Attempt) task, RunModel run)
    {
        var asks = DrawAsks(run);
        var request = new RespondWorkflowTaskCompletedRequest { Namespace = "default", TaskToken = task.Token, Identity = Identity };
        request.Commands.AddRange(asks.Select(a => ToCommand(a, task.Run)));
        var continues = asks.Any(a => a is Ask.Continue) && run.BufferedCount == 0;
        var refused = asks.Any(a => a.Closes) && run.BufferedCount > 0;
        var certain = await DoAsync(
            $"complete the task of {run.RunId}: {string.Join(", ", asks)}",
            run,
            model => model.CompleteTask(asks, Now),
            () => refused
                ? RefusedAsync(StatusCode.InvalidArgument, () => server.Service.RespondWorkflowTaskCompleted(request, Call()))
                : server.Service.RespondWorkflowTaskCompleted(request, Call()));
        if (continues && !Model(task.Run).IsOpen)
        {
            var id = current.Single(c => c.Value == task.Run).Key;
            var next = server.Engine.Chain("default", id).Current!;
            Assert.True(next.RunId != task.Run, Explain("the run has continued as new, and there is no new run"));
            current[id] = next.RunId;
            runs.Add(next.RunId, [new RunModel(next.RunId)]);
            if (!certain)
            {
                await CheckAsync();
            }
        }
    }

    private async Task AnswerActivityAsync((ByteString Token, string Run, string Activity, int Attempt) attempt)
    {
        var run = Model(attempt.Run);
        if (!run.IsCurrent(attempt.Activity, attempt.Attempt))
        {
            Say($"answer attempt {attempt.Attempt} of {attempt.Activity}, which is over");
            attempts.Remove(attempt);
            await RefusedAsync(StatusCode.NotFound, () => server.Service.RespondActivityTaskCompleted(
                new RespondActivityTaskCompletedRequest { Namespace = "default", TaskToken = attempt.Token, Identity = Identity }, Call()));
            return;
        }

        var service = server.Service;
        switch (random.Next(5))
        {
            case 0:
                await DoAsync($"heartbeat of {attempt.Activity}", run, _ => { }, async () =>
                {
                    var answer = await service.RecordActivityTaskHeartbeat(new RecordActivityTaskHeartbeatRequest { Namespace = "default", TaskToken = attempt.Token }, Call());
                    Assert.Equal(run.IsCancelAsked(attempt.Activity), answer.CancelRequested);
                });
                break;
            case 1:
            case 2:
                var retryable = random.Next(3) > 0;
                await DoAsync($"{attempt.Activity} fails, {(retryable ? "" : "not ")}retryable", run, model => model.FailActivity(attempt.Activity, retryable, Now), () =>
                    service.RespondActivityTaskFailed(
                        new RespondActivityTaskFailedRequest
                        {
                            Namespace = "default",
                            TaskToken = attempt.Token,
                            Failure = new Failure { Message = "no", ApplicationFailureInfo = new ApplicationFailureInfo { Type = "T", NonRetryable = !retryable } },
                        },
                        Call()));
                break;
            case 3 when run.IsCancelAsked(attempt.Activity):
                await DoAsync($"{attempt.Activity} reports that it is canceled", run, model => model.ReportActivityCanceled(attempt.Activity), () =>
                    service.RespondActivityTaskCanceled(new RespondActivityTaskCanceledRequest { Namespace = "default", TaskToken = attempt.Token }, Call()));
                break;
            default:
                await DoAsync($"{attempt.Activity} completes", run, model => model.CompleteActivity(attempt.Activity), () =>
                    service.RespondActivityTaskCompleted(new RespondActivityTaskCompletedRequest { Namespace = "default", TaskToken = attempt.Token }, Call()));
                break;
        }
    }
}
