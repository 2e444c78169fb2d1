using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Store;
using Temporalio.Api.Command.V1;
using Temporalio.Api.Common.V1;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.Failure.V1;
using Temporalio.Api.TaskQueue.V1;
using Temporalio.Api.WorkflowService.V1;

namespace SnapshotFlow.Tests.TemporalDev.Properties;

/// <summary>One random sequence of steps on a server with a few workflows.</summary>
internal sealed partial class RandomWalk : IAsyncDisposable
{
    private const string Queue = "q";
    private const string Identity = "model";

    private static readonly string[] WorkflowIds = ["a", "b", "c"];
    private static readonly TimeSpan PollPatience = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan StepPatience = TimeSpan.FromSeconds(40);

    private readonly int seed;
    private readonly Random random;
    private readonly MemoryStore data = new(retain: true);
    private readonly ManualTime time = new();
    private readonly List<string> steps = [];
    private readonly List<Task> abandoned = [];

    /// <summary>What each run may be: one model, or two after a crash in the middle of a call until they are told apart.</summary>
    private readonly Dictionary<string, List<RunModel>> runs = [];
    private readonly Dictionary<string, string> current = [];
    private readonly List<(ByteString Token, string Run, int TaskNumber, int Attempt)> tasks = [];
    private readonly List<(ByteString Token, string Run, string Activity, int Attempt)> attempts = [];
    private ModelServer server = null!;
    private int names;

    private RandomWalk(int seed)
    {
        this.seed = seed;
        random = new Random(seed);
    }

    private DateTimeOffset Now => time.GetUtcNow();

    public static async Task<RandomWalk> StartAsync(int seed)
    {
        var walk = new RandomWalk(seed);
        walk.server = await ModelServer.StartAsync(walk.data, walk.time);
        foreach (var id in WorkflowIds)
        {
            await walk.StartWorkflowAsync(id);
        }

        return walk;
    }

    public async Task StepAsync()
    {
        var step = TakeStepAsync();
        Assert.True(await Task.WhenAny(step, Task.Delay(StepPatience)) == step, Explain("the step does not end"));
        await step;
    }

    private async Task TakeStepAsync()
    {
        // Every step has a moment of its own, so that no two things are due at the same time.
        time.Pass(TimeSpan.FromMicroseconds(random.Next(1, 2000)));
        await PassTimeAsync();
        var id = WorkflowIds[random.Next(WorkflowIds.Length)];
        var run = Model(current[id]);
        if (!run.IsOpen)
        {
            await StartWorkflowAsync(id);
            return;
        }

        var startable = runs.Values.Select(r => r[0]).Where(r => r.IsOpen && r.CanStartTask).ToList();
        var ready = runs.Values.Select(r => r[0]).Where(r => r.IsOpen && r.ReadyActivities.Any()).ToList();
        await (random.Next(24) switch
        {
            0 or 1 or 2 => SignalAsync(run, id),
            3 => RequestCancelAsync(run, id),
            4 => random.Next(8) == 0 ? TerminateAsync(run, id) : CrashAsync(),
            5 or 6 or 7 => PassTimeAsync(TimeSpan.FromMicroseconds(random.Next(1, 15_000_000) * Math.Pow(random.NextDouble(), 2))),
            8 or 9 or 10 or 11 when startable.Count > 0 => PollTaskAsync(startable),
            12 or 13 or 14 or 15 when ready.Count > 0 => PollActivityAsync(ready),
            16 or 17 or 18 or 19 when attempts.Count > 0 => AnswerActivityAsync(attempts[random.Next(attempts.Count)]),
            20 or 21 when tasks.Count > 0 => AnswerTaskAsync(tasks[random.Next(Math.Max(0, tasks.Count - 3), tasks.Count)]),
            _ => startable.Count > 0 ? PollTaskAsync(startable) : SignalAsync(run, id),
        });
        await CheckAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        await Task.WhenAll(abandoned);
    }

    private RunModel Model(string runId) => runs[runId][0];

    private async Task StartWorkflowAsync(string id)
    {
        Say($"start {id}");
        var request = new StartWorkflowExecutionRequest
        {
            Namespace = "default",
            WorkflowId = id,
            WorkflowType = new WorkflowType { Name = "T" },
            TaskQueue = new TaskQueue { Name = Queue },
            RequestId = NewName(),
            Identity = Identity,
        };
        var start = server.Service.StartWorkflowExecution(request, Call());
        while (!await AnswersAsync(start))
        {
            await RestartAsync(() => { });
            start = server.Service.StartWorkflowExecution(request, Call());
        }

        var runId = (await start).RunId;
        current[id] = runId;
        runs.Add(runId, [new RunModel(runId)]);
        await CheckAsync();
    }

    private Task SignalAsync(RunModel run, string id)
    {
        var name = NewName();
        var request = new SignalWorkflowExecutionRequest
        {
            Namespace = "default",
            WorkflowExecution = new WorkflowExecution { WorkflowId = id },
            SignalName = name,
            RequestId = name,
            Identity = Identity,
        };
        var again = random.Next(4) == 0;
        return DoAsync(
            $"signal {id} {name}{(again ? " twice with one request id" : "")}",
            run,
            model => model.Signal(name),
            async () =>
            {
                await server.Service.SignalWorkflowExecution(request, Call());
                if (again)
                {
                    await server.Service.SignalWorkflowExecution(request, Call());
                }
            });
    }

    private Task RequestCancelAsync(RunModel run, string id) => DoAsync(
        $"request cancel of {id}",
        run,
        model => model.RequestCancel(),
        () => server.Service.RequestCancelWorkflowExecution(
            new RequestCancelWorkflowExecutionRequest { Namespace = "default", WorkflowExecution = new WorkflowExecution { WorkflowId = id }, RequestId = NewName() }, Call()));

    private Task TerminateAsync(RunModel run, string id) => DoAsync(
        $"terminate {id}",
        run,
        model => model.Terminate(),
        () => server.Service.TerminateWorkflowExecution(
            new TerminateWorkflowExecutionRequest { Namespace = "default", WorkflowExecution = new WorkflowExecution { WorkflowId = id } }, Call()));

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

    private async Task PassTimeAsync(TimeSpan span = default)
    {
        if (span > TimeSpan.Zero)
        {
            Say($"{span.TotalSeconds:0.000} s pass");
            time.Pass(span);
        }

        await server.SettleAsync();
        PassModelTime();
        if (server.Cut.IsCompleted)
        {
            await RestartAsync(() => { });
        }
    }

    private void PassModelTime()
    {
        foreach (var run in runs.Values.SelectMany(r => r))
        {
            run.PassTime(Now);
        }
    }

    /// <summary>A crash between two calls loses nothing.</summary>
    private Task CrashAsync()
    {
        Say("crash");
        return RestartAsync(() => { });
    }

    /// <summary>Does something to the server and to the model. One time in six the server crashes in the middle.</summary>
    /// <returns>Whether the server has answered.</returns>
    private async Task<bool> DoAsync(string what, RunModel run, Action<RunModel> change, Func<Task> call)
    {
        Say(what);
        var answered = call();
        if (!await AnswersAsync(answered))
        {
            await RestartAsync(() => Fork([run], change));
            return false;
        }

        await answered;
        change(run);
        return true;
    }

    /// <summary>False when the server died first. What it was asked may have been done or not.</summary>
    private async Task<bool> AnswersAsync(Task call)
    {
        await Task.WhenAny(call, server.Cut);
        return call.IsCompleted;
    }

    /// <summary>The runs either had this happen to them or not.</summary>
    private void Fork(IEnumerable<RunModel> uncertain, Action<RunModel> change)
    {
        foreach (var run in uncertain)
        {
            var changed = run.Clone();
            change(changed);
            runs[run.RunId].Add(changed);
        }
    }

    private async Task RestartAsync(Action fork)
    {
        fork();
        abandoned.Add(server.DisposeAsync().AsTask());
        server = await ModelServer.StartAsync(data, time);
        PassModelTime();
        await CheckAsync();
        if (random.Next(2) == 0)
        {
            server.CutAfter(random.Next(0, 25));
        }
    }

    /// <summary>Every run is what one of its models says, follows the rules of histories, and folds to itself.</summary>
    private async Task CheckAsync()
    {
        if (server.Cut.IsCompleted)
        {
            return;
        }

        foreach (var (runId, models) in runs)
        {
            var run = server.Engine.Chains.Select(c => c.Runs.GetValueOrDefault(runId)).Single(r => r is not null)!;
            if (!run.IsLoaded)
            {
                var stored = (await data.LoadRunAsync(run.Key, CancellationToken.None))!;
                run.Restore(stored.Events, stored.Side, stored.Header.StartRequestId);
            }

            var actual = RunView.Describe(run);
            var fitting = models.FirstOrDefault(m => m.Describe() == actual);
            Assert.True(fitting is not null, Explain($"run {runId} is\n{actual}\n\nand should be\n{string.Join("\n\nor\n", models.Select(m => m.Describe()))}"));
            models.Clear();
            models.Add(fitting!);
            Assert.Empty(HistoryRules.Broken(run.History));
            await CheckFoldAsync(run);
        }
    }

    private async Task CheckFoldAsync(Run run)
    {
        var stored = (await data.LoadRunAsync(run.Key, CancellationToken.None))!;
        var folded = new Run(server.Engine, new WorkflowChain(run.Chain.Namespace, run.Chain.WorkflowId), run.RunId);
        folded.Restore(stored.Events, stored.Side, stored.Header.StartRequestId);
        Assert.Equal(run.History, folded.History);
        Assert.Equal(Encoding.UTF8.GetString(run.WriteSide()), Encoding.UTF8.GetString(folded.WriteSide()));
        Assert.Equal(run.Holds, folded.Holds);
    }

    private async Task RefusedAsync(StatusCode code, Func<Task> call)
    {
        var fault = await Assert.ThrowsAsync<Fault>(call);
        Assert.True(fault.Code == code, Explain($"refused with {fault.Code}: {fault.Message}"));
    }

    private string NewName() => $"n{++names}";

    private static DirectCall Call() => new(PollPatience);

    private void Say(string step) => steps.Add($"{Now:mm:ss.ffffff} {step}");

    private string Explain(string what) => $"TEMPORAL_DEV_MODEL_SEED={seed}: {what}\n\nafter\n{string.Join('\n', steps.TakeLast(40))}";
}
