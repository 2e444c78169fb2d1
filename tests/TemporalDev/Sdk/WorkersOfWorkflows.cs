using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Exceptions;
using Temporalio.Worker;
using Temporalio.Workflows;

namespace SnapshotFlow.Tests.TemporalDev.Sdk;

/// <summary>Workers with small caches, workers that fail, workers that leave, and what a workflow sees of all that.</summary>
[Collection(nameof(DevServer))]
public sealed class WorkersOfWorkflows(DevServer server)
{
    private static WorkflowOptions Options(string queue) => new(DevServer.NewId(), queue);

    private static void All(TemporalWorkerOptions options) => options.AddWorkflow<TalkingWorkflow>().AddWorkflow<PatchedWorkflow>().AddWorkflow<ManyTimersWorkflow>()
        .AddWorkflow<LongHistoryWorkflow>().AddWorkflow<UpsertingWorkflow>().AddWorkflow<TooLargeWorkflow>().AddAllActivities(typeof(SampleActivities), null);

    [Fact]
    public async Task A_workflow_moves_to_the_next_worker_when_its_worker_leaves()
    {
        var queue = DevServer.NewQueue();
        WorkflowHandle<TalkingWorkflow, string> handle = null!;
        for (var round = 0; round < 3; round++)
        {
            using var worker = new TemporalWorker(server.Client, new TemporalWorkerOptions(queue).AddWorkflow<TalkingWorkflow>());
            await worker.ExecuteAsync(
                async () =>
                {
                    handle ??= await server.Client.StartWorkflowAsync((TalkingWorkflow w) => w.RunAsync(), Options(queue));
                    await handle.SignalAsync(w => w.SayAsync($"{round}"));
                    await Until.TrueAsync(async () => await handle.QueryAsync(w => w.Count()) == round + 1);
                    if (round == 2)
                    {
                        await handle.SignalAsync(w => w.SayAsync("end"));
                        Assert.Equal("0 1 2 end", await handle.GetResultAsync());
                    }
                },
                TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public Task A_cache_of_one_serves_many_workflows() => server.WithWorkerAsync(
        o =>
        {
            All(o);
            o.MaxCachedWorkflows = 1;
        },
        async queue =>
        {
            var handles = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => server.Client.StartWorkflowAsync((TalkingWorkflow w) => w.RunAsync(), Options(queue))));
            foreach (var word in new[] { "a", "b", "end" })
            {
                await Task.WhenAll(handles.Select(h => h.SignalAsync(w => w.SayAsync(word))));
            }

            Assert.All(await Task.WhenAll(handles.Select(h => h.GetResultAsync())), result => Assert.Equal("a b end", result));
        });

    [Fact]
    public async Task A_changed_workflow_fails_its_task_and_goes_on_when_the_code_is_back()
    {
        var queue = DevServer.NewQueue();
        WorkflowHandle handle = null!;
        using (var first = new TemporalWorker(server.Client, new TemporalWorkerOptions(queue).AddWorkflow<SameNameBefore>().AddAllActivities(typeof(SampleActivities), null)))
        {
            await first.ExecuteAsync(
                async () =>
                {
                    handle = await server.Client.StartWorkflowAsync((SameNameBefore w) => w.RunAsync(), Options(queue));
                    await Until.TrueAsync(async () => (await handle.FetchHistoryAsync()).Events.Any(e => e.EventType == EventType.TimerStarted));
                },
                TestContext.Current.CancellationToken);
        }

        using (var changed = new TemporalWorker(server.Client, new TemporalWorkerOptions(queue).AddWorkflow<SameNameAfter>().AddAllActivities(typeof(SampleActivities), null)))
        {
            await changed.ExecuteAsync(
                async () =>
                {
                    await handle.SignalAsync("Finish", []);
                    await Until.TrueAsync(async () => (await handle.FetchHistoryAsync()).Events.Any(e =>
                        e.WorkflowTaskFailedEventAttributes is { Cause: WorkflowTaskFailedCause.NonDeterministicError }));
                },
                TestContext.Current.CancellationToken);
        }

        using var back = new TemporalWorker(server.Client, new TemporalWorkerOptions(queue).AddWorkflow<SameNameBefore>().AddAllActivities(typeof(SampleActivities), null));
        await back.ExecuteAsync(() => handle.GetResultAsync().WaitAsync(TimeSpan.FromSeconds(40)), TestContext.Current.CancellationToken);
    }

    [Fact]
    public Task A_patched_workflow_takes_the_new_way_and_is_found_by_it() => server.WithWorkerAsync(All, async queue =>
    {
        var handle = await server.Client.StartWorkflowAsync((PatchedWorkflow w) => w.RunAsync(), Options(queue));
        Assert.Equal("new", await handle.GetResultAsync());
        await Until.TrueAsync(async () => (await server.Client.CountWorkflowsAsync($"WorkflowId = '{handle.Id}' AND TemporalChangeVersion = 'better-way'")).Count == 1);
    });

    [Fact]
    public Task Many_timers_fire_and_the_cancelled_do_not() => server.WithWorkerAsync(All, async queue =>
        Assert.Equal("50 fired, 10 cancelled", await server.Client.ExecuteWorkflowAsync((ManyTimersWorkflow w) => w.RunAsync(), Options(queue))));

    [Fact]
    public Task A_workflow_knows_the_length_of_its_history() => server.WithWorkerAsync(All, async queue =>
    {
        var handle = await server.Client.StartWorkflowAsync((LongHistoryWorkflow w) => w.RunAsync(30), Options(queue));
        var (length, size, suggested) = await handle.GetResultAsync() switch { var s => (s.Length, s.Size, s.Suggested) };
        Assert.InRange(length, 100, (await handle.FetchHistoryAsync()).Events.Count);
        Assert.True(size > 1000);
        Assert.False(suggested);
    });

    [Fact]
    public Task Attributes_and_memo_change_in_the_course_of_a_workflow() => server.WithWorkerAsync(All, async queue =>
    {
        var options = Options(queue);
        options.Memo = new Dictionary<string, object> { ["kept"] = 1, ["gone"] = 2 };
        var handle = await server.Client.StartWorkflowAsync((UpsertingWorkflow w) => w.RunAsync(), options);
        await handle.GetResultAsync();
        var description = await handle.DescribeAsync();
        Assert.Equal(["kept", "new"], description.Memo.Keys.Order());
        Assert.Equal("later", description.TypedSearchAttributes.Get(AttributesWorkflow.Step));
        Assert.False(description.TypedSearchAttributes.ContainsKey(AttributesWorkflow.Size));
    });

    [Fact]
    public Task A_result_that_is_too_large_fails_the_task_and_not_the_worker() => server.WithWorkerAsync(All, async queue =>
    {
        var handle = await server.Client.StartWorkflowAsync((TooLargeWorkflow w) => w.RunAsync(5 * 1024 * 1024), Options(queue));
        await Until.TrueAsync(async () => (await handle.FetchHistoryAsync()).Events.Any(e => e.EventType == EventType.WorkflowTaskFailed));
        Assert.Equal("x", await server.Client.ExecuteWorkflowAsync((TooLargeWorkflow w) => w.RunAsync(1), Options(queue)));
        await handle.TerminateAsync();
    });

    [Fact]
    public async Task A_workflow_whose_answer_is_too_large_is_ended_when_its_worker_does_not_check()
    {
        var queue = DevServer.NewQueue();
        using var worker = new TemporalWorker(server.Client, new TemporalWorkerOptions(queue) { DisablePayloadErrorLimit = true }.AddWorkflow<TooLargeWorkflow>());
        await worker.ExecuteAsync(
            async () =>
            {
                foreach (var (size, cause) in new[]
                {
                    (5 * 1024 * 1024, WorkflowTaskFailedCause.GrpcMessageTooLarge),
                    (3 * 1024 * 1024, WorkflowTaskFailedCause.BadCompleteWorkflowExecutionAttributes),
                })
                {
                    var handle = await server.Client.StartWorkflowAsync((TooLargeWorkflow w) => w.RunAsync(size), Options(queue));
                    var error = await Assert.ThrowsAsync<WorkflowFailedException>(() => handle.GetResultAsync());
                    Assert.StartsWith($"{cause}", Assert.IsType<TerminatedFailureException>(error.InnerException).Message, StringComparison.Ordinal);
                    Assert.Contains((await handle.FetchHistoryAsync()).Events, e => e.WorkflowTaskFailedEventAttributes?.Cause == cause);
                }
            },
            TestContext.Current.CancellationToken);
    }

    [Fact]
    public Task A_long_local_activity_keeps_its_workflow_task_alive() => server.WithWorkerAsync(
        o => o.AddWorkflow<LongLocalWorkflow>().AddAllActivities(typeof(SlowActivities), null),
        async queue =>
        {
            var options = Options(queue);
            options.TaskTimeout = TimeSpan.FromSeconds(2);
            var handle = await server.Client.StartWorkflowAsync((LongLocalWorkflow w) => w.RunAsync(), options);
            await handle.SignalAsync(w => w.NoteAsync());
            Assert.Equal("slept once, noted 1", await handle.GetResultAsync());
            var types = (await handle.FetchHistoryAsync()).Events.Select(e => e.EventType).ToList();
            Assert.DoesNotContain(EventType.WorkflowTaskTimedOut, types);
            Assert.True(types.Count(t => t == EventType.WorkflowTaskCompleted) > 1);
        });

    [Fact]
    public Task A_continuation_takes_new_options() => server.WithWorkerAsync(o => o.AddWorkflow<ContinuingWorkflow>(), async queue =>
    {
        var options = Options(queue);
        options.Memo = new Dictionary<string, object> { ["colour"] = "old" };
        options.TypedSearchAttributes = new Temporalio.Common.SearchAttributeCollection.Builder().Set(AttributesWorkflow.Step, "old").ToSearchAttributeCollection();
        options.RunTimeout = TimeSpan.FromHours(2);
        var handle = await server.Client.StartWorkflowAsync((ContinuingWorkflow w) => w.RunAsync(0), options);
        Assert.Equal("run 2 of 01:00:00", await handle.GetResultAsync());
        var description = await server.Client.GetWorkflowHandle(handle.Id).DescribeAsync();
        Assert.Equal("new", await description.Memo["colour"].ToValueAsync<string>());
        Assert.Equal("new", description.TypedSearchAttributes.Get(AttributesWorkflow.Step));
    });

    [Fact]
    public Task Workers_tell_about_themselves() => server.WithWorkerAsync(All, async queue =>
    {
        await server.Client.ExecuteWorkflowAsync((TooLargeWorkflow w) => w.RunAsync(1), Options(queue));
        var description = await server.Client.Connection.WorkflowService.DescribeTaskQueueAsync(new() { Namespace = "default", TaskQueue = new() { Name = queue } });
        Assert.Contains(description.Pollers, p => p.Identity == server.Client.Connection.Options.Identity);
    });

    [Fact]
    public async Task A_start_that_is_too_large_is_refused_at_once()
    {
        var error = await Assert.ThrowsAnyAsync<Exception>(() => server.Client.StartWorkflowAsync("Any", [new string('x', 3 * 1024 * 1024)], Options(DevServer.NewQueue())));
        Assert.Contains("limit", error.Message, StringComparison.OrdinalIgnoreCase);
    }

    public static class SlowActivities
    {
        [Temporalio.Activities.Activity]
        public static async Task<string> SleepAsync()
        {
            using var timer = new PeriodicTimer(TimeSpan.FromSeconds(5));
            await timer.WaitForNextTickAsync(Temporalio.Activities.ActivityExecutionContext.Current.CancellationToken);
            return "slept once";
        }
    }

    [Workflow]
    public sealed class LongLocalWorkflow
    {
        private int notes;

        [WorkflowRun]
        public async Task<string> RunAsync()
        {
            var slept = await Workflow.ExecuteLocalActivityAsync(() => SlowActivities.SleepAsync(), new() { StartToCloseTimeout = TimeSpan.FromSeconds(30) });
            return $"{slept}, noted {notes}";
        }

        [WorkflowSignal]
        public Task NoteAsync()
        {
            notes++;
            return Task.CompletedTask;
        }
    }

    [Workflow]
    public sealed class ContinuingWorkflow
    {
        [WorkflowRun]
        public Task<string> RunAsync(int run) => run == 2
            ? Task.FromResult($"run {run} of {Workflow.Info.RunTimeout}")
            : throw Workflow.CreateContinueAsNewException(
                (ContinuingWorkflow w) => w.RunAsync(run + 1),
                new()
                {
                    RunTimeout = TimeSpan.FromHours(1),
                    Memo = new Dictionary<string, object> { ["colour"] = "new" },
                    TypedSearchAttributes = new Temporalio.Common.SearchAttributeCollection.Builder().Set(AttributesWorkflow.Step, "new").ToSearchAttributeCollection(),
                });
    }

    [Workflow]
    public sealed class TalkingWorkflow
    {
        private readonly List<string> words = [];

        [WorkflowRun]
        public async Task<string> RunAsync()
        {
            await Workflow.WaitConditionAsync(() => words.Contains("end"));
            return string.Join(' ', words);
        }

        [WorkflowSignal]
        public Task SayAsync(string word)
        {
            words.Add(word);
            return Task.CompletedTask;
        }

        [WorkflowQuery]
        public int Count() => words.Count;
    }

    [Workflow("SameName")]
    public sealed class SameNameBefore
    {
        private bool done;

        [WorkflowRun]
        public async Task RunAsync()
        {
            await Workflow.WhenAnyAsync(Workflow.DelayAsync(TimeSpan.FromHours(1)), Workflow.WaitConditionAsync(() => done));
        }

        [WorkflowSignal]
        public Task FinishAsync()
        {
            done = true;
            return Task.CompletedTask;
        }
    }

    [Workflow("SameName")]
    public sealed class SameNameAfter
    {
        [WorkflowRun]
        public Task RunAsync() => Workflow.ExecuteActivityAsync(() => SampleActivities.Echo("other"), new() { StartToCloseTimeout = TimeSpan.FromSeconds(5) });

        [WorkflowSignal]
        public Task FinishAsync() => Task.CompletedTask;
    }

    [Workflow]
    public sealed class PatchedWorkflow
    {
        [WorkflowRun]
        public async Task<string> RunAsync()
        {
            await Workflow.DelayAsync(1);
            return Workflow.Patched("better-way") ? "new" : "old";
        }
    }

    [Workflow]
    public sealed class ManyTimersWorkflow
    {
        [WorkflowRun]
        public async Task<string> RunAsync()
        {
            using var cancel = new CancellationTokenSource();
            var slow = Enumerable.Range(0, 10).Select(_ => Workflow.DelayAsync(TimeSpan.FromHours(1), cancel.Token)).ToList();
            var quick = Enumerable.Range(1, 50).Select(i => Workflow.DelayAsync(i)).ToList();
            await Workflow.WhenAllAsync(quick);
            cancel.Cancel();
            var cancelled = 0;
            foreach (var timer in slow)
            {
                try
                {
                    await timer;
                }
                catch (OperationCanceledException)
                {
                    cancelled++;
                }
            }

            return $"{quick.Count(t => t.IsCompletedSuccessfully)} fired, {cancelled} cancelled";
        }
    }

    public sealed record HistorySeen(int Length, int Size, bool Suggested);

    [Workflow]
    public sealed class LongHistoryWorkflow
    {
        [WorkflowRun]
        public async Task<HistorySeen> RunAsync(int timers)
        {
            for (var i = 0; i < timers; i++)
            {
                await Workflow.DelayAsync(1);
            }

            return new HistorySeen(Workflow.CurrentHistoryLength, Workflow.CurrentHistorySize, Workflow.ContinueAsNewSuggested);
        }
    }

    [Workflow]
    public sealed class UpsertingWorkflow
    {
        [WorkflowRun]
        public async Task RunAsync()
        {
            Workflow.UpsertTypedSearchAttributes(AttributesWorkflow.Step.ValueSet("first"), AttributesWorkflow.Size.ValueSet(3));
            await Workflow.DelayAsync(1);
            Workflow.UpsertTypedSearchAttributes(AttributesWorkflow.Step.ValueSet("later"), AttributesWorkflow.Size.ValueUnset());
            Workflow.UpsertMemo(MemoUpdate.ValueSet("new", "x"), MemoUpdate.ValueUnset("gone"));
        }
    }

    [Workflow]
    public sealed class TooLargeWorkflow
    {
        [WorkflowRun]
        public Task<string> RunAsync(int length) => Task.FromResult(new string('x', length));
    }
}
