using Google.Protobuf;
using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Store;
using Temporalio.Api.Common.V1;
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

    private string NewName() => $"n{++names}";

    private static DirectCall Call() => new(PollPatience);

    private void Say(string step) => steps.Add($"{Now:mm:ss.ffffff} {step}");

    private string Explain(string what) => $"TEMPORAL_DEV_MODEL_SEED={seed}: {what}\n\nafter\n{string.Join('\n', steps.TakeLast(40))}";
}
