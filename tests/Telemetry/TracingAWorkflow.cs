using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using SnapshotFlow.Telemetry;
using Temporalio.Client;
using Temporalio.Runtime;
using Temporalio.Testing;
using Temporalio.Worker;

namespace SnapshotFlow.Tests.Telemetry;

/// <summary>One trace from the call that starts a workflow to its last activity.</summary>
public sealed class TracingAWorkflow(TemporalServer server) : IClassFixture<TemporalServer>, IAsyncLifetime
{
    private readonly string taskQueue = Guid.NewGuid().ToString();
    private readonly ConcurrentQueue<Activity> finished = new();
    private readonly ActivitySource tests = new("Tests");
    private readonly Meter meter = new("Tests.Temporal");
    private readonly LineCollector lines = new();
    private ActivityListener listener = null!;
    private ITemporalClient client = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        client = await TemporalClient.ConnectAsync(new(server.Address)
        {
            Interceptors = [new TracingInterceptor()],
            LoggerFactory = LoggerFactory.Create(b => b.AddProvider(lines)),
            Runtime = new TemporalRuntime(new() { Telemetry = new() { Metrics = new() { CustomMetricMeter = new TemporalMetrics(meter) } } }),
        });
        listener = new ActivityListener
        {
            ShouldListenTo = source => source == tests || source.Name.StartsWith("SnapshotFlow.Temporal.", StringComparison.Ordinal),
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = finished.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
    }

    public ValueTask DisposeAsync()
    {
        listener.Dispose();
        tests.Dispose();
        meter.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Every_step_of_a_run_is_a_span_below_the_call_that_started_it_and_a_retried_activity_is_two()
    {
        using (var request = tests.StartActivity("request")!)
        {
            await RunToTheEndAsync();
        }

        var trace = Trace();
        var request1 = Named(trace, "request").Single();
        var start = Below(request1, trace, "StartWorkflow:Sample").Single();
        var run = Below(start, trace, "RunWorkflow:Sample").Single();
        var first = Below(run, trace, "StartActivity:FailOnce").Single();
        var attempts = Below(first, trace, "RunActivity:FailOnce");
        Assert.Equal([ActivityStatusCode.Error, ActivityStatusCode.Unset], attempts.Select(a => a.Status));
        Assert.Equal("NotYet", attempts[0].GetTagItem("error.type"));
        Assert.Equal([1, 2], attempts.Select(a => a.GetTagItem("temporalActivityAttempt")));
        Assert.Equal("first of two", first.GetTagItem("temporalSummary"));
        Assert.Single(Below(Below(run, trace, "StartActivity:Succeed").Single(), trace, "RunActivity:Succeed"));
        var complete = Below(start, trace, "CompleteWorkflow:Sample").Single();
        Assert.True(complete.StartTimeUtc <= run.StartTimeUtc && complete.Duration >= attempts[0].Duration + attempts[1].Duration, "the span of the whole run is shorter than its parts");
    }

    [Fact]
    public async Task Replay_emits_nothing_twice_and_counts_nothing_twice()
    {
        var counted = 0;
        using var counting = new MeterListener();
        counting.InstrumentPublished = (instrument, l) =>
        {
            if (instrument.Meter == meter && instrument.Name == "sample_runs")
            {
                l.EnableMeasurementEvents(instrument);
            }
        };
        counting.SetMeasurementEventCallback<long>((_, value, _, _) => Interlocked.Add(ref counted, (int)value));
        counting.Start();

        // Without a cache each task of the workflow begins with a replay.
        using (tests.StartActivity("request"))
        {
            await RunToTheEndAsync(maxCachedWorkflows: 0);
        }

        var trace = Trace();
        Assert.Single(Named(trace, "RunWorkflow:Sample"));
        Assert.Single(Named(trace, "StartActivity:FailOnce"));
        Assert.Single(Named(trace, "StartActivity:Succeed"));
        Assert.Single(Named(trace, "CompleteWorkflow:Sample"));
        Assert.Equal(1, counted);
    }

    [Fact]
    public async Task A_run_that_another_worker_takes_over_goes_on_in_the_same_trace()
    {
        WorkflowHandle<SampleWorkflow, string> run;
        using (tests.StartActivity("request"))
        {
            run = await client.StartWorkflowAsync((SampleWorkflow w) => w.RunAsync(true), new($"sample-{Guid.NewGuid()}", taskQueue));
        }

        await BeTakenOverAsync(run);

        var trace = Trace();
        var start = Named(trace, "StartWorkflow:Sample").Single();
        var resumed = Below(start, trace, "ResumeWorkflow:Sample").Single();
        Assert.Single(Below(Below(resumed, trace, "StartActivity:Succeed").Single(), trace, "RunActivity:Succeed"));
        Assert.Single(Below(start, trace, "RunWorkflow:Sample"));
        Assert.Single(Below(start, trace, "CompleteWorkflow:Sample"));
    }

    [Fact]
    public async Task A_run_that_nobody_traced_is_one_trace_too_when_another_worker_takes_it_over()
    {
        // As a schedule starts it: without a header.
        var untraced = new TemporalClient(client.Connection, new());
        var run = await untraced.StartWorkflowAsync((SampleWorkflow w) => w.RunAsync(true), new($"sample-{Guid.NewGuid()}", taskQueue));
        await BeTakenOverAsync(run);

        var ofRun = finished.Where(s => s.GetTagItem("temporalWorkflowID") is string id && id == run.Id).ToList();
        Assert.Equal(["CompleteWorkflow:Sample", "HandleSignal:GoOn", "ResumeWorkflow:Sample", "RunWorkflow:Sample"], ofRun.Where(s => s.ParentSpanId == default).Select(s => s.OperationName).Distinct().Order());
        Assert.Single(ofRun.Select(s => s.TraceId).Distinct());
        Assert.Single(Below(Below(Named(ofRun, "ResumeWorkflow:Sample").Single(), ofRun, "StartActivity:Succeed").Single(), ofRun, "RunActivity:Succeed"));
    }

    [Fact]
    public async Task Every_attempt_at_an_activity_links_to_who_started_the_run_should_its_parent_die_unsent()
    {
        using (tests.StartActivity("request"))
        {
            await RunToTheEndAsync();
        }

        var trace = Trace();
        var start = Named(trace, "StartWorkflow:Sample").Single();
        var attempts = trace.Where(s => s.OperationName.StartsWith("RunActivity:", StringComparison.Ordinal)).ToList();
        Assert.Equal(3, attempts.Count);
        Assert.All(attempts, a => Assert.Equal(start.Context.SpanId, Assert.Single(a.Links).Context.SpanId));
        Assert.All(attempts, a => Assert.Equal(start.TraceId, Assert.Single(a.Links).Context.TraceId));
        // Its own parent is who started it, and was not the worker's to lose.
        Assert.Empty(Named(trace, "RunWorkflow:Sample").Single().Links);
    }

    [Fact]
    public async Task An_update_and_a_signal_are_spans_below_their_own_callers()
    {
        using var worker = Worker();
        await worker.ExecuteAsync(
            async () =>
            {
                var run = await client.StartWorkflowAsync((SampleWorkflow w) => w.RunAsync(true), new($"sample-{Guid.NewGuid()}", taskQueue));
                using (tests.StartActivity("other request"))
                {
                    await run.ExecuteUpdateAsync(w => w.AnswerAsync());
                    await run.SignalAsync(w => w.GoOnAsync());
                }

                await run.GetResultAsync();
            },
            Ct);

        var other = Assert.Single(finished, s => s.OperationName == "other request");
        var trace = finished.Where(s => s.TraceId == other.TraceId).ToList();
        var update = Below(Below(other, trace, "UpdateWorkflow:Answer").Single(), trace, "HandleUpdate:Answer").Single();
        Assert.Single(Below(Below(other, trace, "SignalWorkflow:GoOn").Single(), trace, "HandleSignal:GoOn"));
        Assert.NotEqual(other.TraceId, Assert.Single(update.Links).Context.TraceId);
    }

    [Fact]
    public async Task An_update_that_comes_with_the_first_task_leads_to_the_run_too()
    {
        var run = await client.StartWorkflowAsync((SampleWorkflow w) => w.RunAsync(true), new($"sample-{Guid.NewGuid()}", taskQueue));
        await run.SignalAsync(w => w.GoOnAsync());
        Task answered;
        using (tests.StartActivity("other request"))
        {
            answered = run.ExecuteUpdateAsync(w => w.AnswerAsync());
        }

        // Nobody works yet: the update waits, and its handler runs before the workflow's own method.
        await UntilAsync(() => Named(finished, "other request").Count == 1);
        using var worker = Worker();
        await worker.ExecuteAsync(
            async () =>
            {
                await answered;
                await run.GetResultAsync();
            },
            Ct);

        var started = Named(finished, "StartWorkflow:Sample").Single();
        Assert.Equal(started.TraceId, Assert.Single(Named(finished, "HandleUpdate:Answer").Single().Links).Context.TraceId);
        Assert.Equal(started.SpanId, Named(finished, "RunWorkflow:Sample").Single().ParentSpanId);
        Assert.Empty(Named(finished, "ResumeWorkflow:Sample"));
    }

    [Fact]
    public async Task The_header_is_the_one_that_Temporals_own_extensions_read_and_holds_no_foreign_baggage()
    {
        WorkflowHandle run;
        using (var request = tests.StartActivity("request")!)
        {
            OpenTelemetry.Baggage.SetBaggage("secret", "a token");
            RequestFields.Set(RequestFields.RequestId, "req-1");
            run = await RunToTheEndAsync();
        }

        var history = await run.FetchHistoryAsync();
        var headers = history.Events
            .Select(e => e.WorkflowExecutionStartedEventAttributes?.Header ?? e.ActivityTaskScheduledEventAttributes?.Header)
            .OfType<Temporalio.Api.Common.V1.Header>()
            .Select(h => JsonSerializer.Deserialize<Dictionary<string, string>>(h.Fields["_tracer-data"].Data.Span)!)
            .ToList();
        Assert.Equal(3, headers.Count);
        Assert.All(headers, h => Assert.Matches($"^00-{Trace()[0].TraceId}-[0-9a-f]{{16}}-01$", h["traceparent"]));
        Assert.All(headers, h => Assert.Equal("request_id=req-1", h["baggage"]));
    }

    [Fact]
    public async Task What_an_activity_logs_has_the_fields_of_the_request_that_caused_it_also_when_nothing_is_traced()
    {
        listener.Dispose();
        RequestFields.Set(RequestFields.RequestId, "req-2");
        RequestFields.Set(RequestFields.ProjectId, "acme");

        var run = await RunToTheEndAsync();

        var line = Assert.Single(lines.All, l => l.Message == "working");
        Assert.Equal("req-2", line.Fields["request_id"]);
        Assert.Equal("acme", line.Fields["project_id"]);
        Assert.Equal(run.Id, line.Fields["workflow_id"]);
        Assert.Equal("Succeed", line.Fields["step"]);
        Assert.False(line.Fields.ContainsKey("global_request_id"));
    }

    [Fact]
    public async Task A_run_without_a_trace_above_it_is_not_disturbed()
    {
        listener.Dispose();

        var run = await RunToTheEndAsync();

        Assert.DoesNotContain((await run.FetchHistoryAsync()).Events, e => e.WorkflowExecutionStartedEventAttributes?.Header?.Fields.Count > 0);
    }

    private async Task<WorkflowHandle> RunToTheEndAsync(int maxCachedWorkflows = 100)
    {
        using var worker = Worker(maxCachedWorkflows);
        return await worker.ExecuteAsync(
            async () =>
            {
                var run = await client.StartWorkflowAsync((SampleWorkflow w) => w.RunAsync(false), new($"sample-{Guid.NewGuid()}", taskQueue));
                Assert.Equal("done", await run.GetResultAsync());
                return run;
            },
            Ct);
    }

    /// <summary>One worker begins the run, another ends it.</summary>
    private async Task BeTakenOverAsync(WorkflowHandle<SampleWorkflow, string> run)
    {
        using (var first = Worker())
        {
            await first.ExecuteAsync(async () => await UntilAsync(() => finished.Count(s => s.OperationName == "RunActivity:FailOnce") == 2), Ct);
        }

        using (var second = Worker())
        {
            await second.ExecuteAsync(
                async () =>
                {
                    await run.SignalAsync(w => w.GoOnAsync());
                    await run.GetResultAsync();
                },
                Ct);
        }
    }

    private TemporalWorker Worker(int maxCachedWorkflows = 100) => new(
        client,
        new TemporalWorkerOptions(taskQueue) { MaxCachedWorkflows = maxCachedWorkflows }
            .AddWorkflow<SampleWorkflow>()
            .AddAllActivities(new SampleActivities(client.Options.LoggerFactory.CreateLogger("sample"))));

    private List<Activity> Trace()
    {
        var id = Assert.Single(finished, s => s.OperationName == "request").TraceId;
        return [.. finished.Where(s => s.TraceId == id)];
    }

    private static List<Activity> Named(IEnumerable<Activity> trace, string name) => [.. trace.Where(s => s.OperationName == name)];

    private static List<Activity> Below(Activity parent, IEnumerable<Activity> trace, string name) =>
        [.. trace.Where(s => s.OperationName == name && s.ParentSpanId == parent.SpanId).OrderBy(s => s.StartTimeUtc)];

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        deadline.CancelAfter(TimeSpan.FromMinutes(1));
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (!condition())
        {
            await timer.WaitForNextTickAsync(deadline.Token);
        }
    }
}

/// <summary>The embedded Temporal, started by the SDK's own test environment.</summary>
public sealed class TemporalServer : IAsyncLifetime
{
    // The SDK gives a server 5 s to listen, which a machine that is busy with other things may not give it.
    private const int Attempts = 5;

    private WorkflowEnvironment environment = null!;

    public string Address => environment.Client.Connection.Options.TargetHost!;

    public async ValueTask InitializeAsync()
    {
        for (var attempt = 1; environment is null; attempt++)
        {
            try
            {
                environment = await WorkflowEnvironment.StartLocalAsync(new() { DevServerOptions = new() { ExistingPath = Path.Combine(AppContext.BaseDirectory, "temporal-dev") } });
            }
            catch (InvalidOperationException e) when (attempt < Attempts && e.Message.Contains("did not start within", StringComparison.Ordinal))
            {
                // Once more.
            }
        }
    }

    public async ValueTask DisposeAsync() => await environment.DisposeAsync();
}
