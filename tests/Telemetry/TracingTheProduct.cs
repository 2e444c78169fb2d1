using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Store;
using SnapshotFlow.Tests.Telemetry.Collector;

namespace SnapshotFlow.Tests.Telemetry;

/// <summary>What the real processes tell a collector about a run.</summary>
[Collection<TracedProduct>]
public sealed class TracingTheProduct(TracedStack traced)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_run_is_one_trace_from_the_HTTP_request_down_to_driver_calls_SQL_and_guest_agent_commands()
    {
        await using var server = await GuestServer.StartAsync(traced.Stack, new GuestServerOptions(), Ct);

        var image = await traced.Tenant.CreateImageAsync(server.Id, "traced", Ct);
        Assert.Equal("completed", (await traced.Tenant.WaitForEndAsync(image, Patience, Ct)).Status);

        var trace = await TraceOfAsync(image, t => t.Any(s => s.Name == "CompleteWorkflow:CreateImage") && t.Any(s => s.Name.EndsWith("/ExecuteMultiOperation", StringComparison.Ordinal)));
        var request = Assert.Single(trace, s => s.ParentId == "");
        Assert.Equal("snapshotflow-api", request.Service);
        Assert.Matches("^POST .*/servers/{.*}/action$", request.Name);
        // Semantic conventions: HTTP server spans, database client spans, service resource.
        Assert.Equal(("202", "POST", $"/compute/v2.1/servers/{server.Id}/action"), (request.Attributes["http.response.status_code"], request.Attributes["http.request.method"], request.Attributes["url.path"]));
        Assert.All(trace, s => Assert.All(new[] { "service.name", "service.namespace", "service.version", "service.instance.id" }, name => Assert.True(s.Resource.GetValueOrDefault(name) is { Length: > 0 }, $"{s.Service} has no {name}")));
        var start = Below(request, trace, "UpdateWithStartWorkflow:CreateImage").Single();
        var run = Below(start, trace, "RunWorkflow:CreateImage").Single();
        Assert.Equal("snapshotflow-workers", run.Service);
        foreach (var step in new[] { "PrepareImage", "CheckQuota", "ReserveRecords", "Quiesce", "Unquiesce", "CompleteSnapshots", "CreateImageRecord" })
        {
            Assert.Single(Below(Below(run, trace, $"StartActivity:{step}").Single(), trace, $"RunActivity:{step}"));
        }

        var cuts = Below(run, trace, "StartActivity:CreateVolumeSnapshot");
        Assert.Equal(server.Volumes.Count, cuts.Count);
        foreach (var cut in cuts)
        {
            Assert.Matches("^cut /dev/vd. 1 GiB on ", cut.Attributes["temporalSummary"]);
            var driver = Below(Below(cut, trace, "RunActivity:CreateVolumeSnapshot").Single(), trace, "create_snapshot file").Single();
            Assert.Contains(server.Volumes, v => v.ToString() == driver.Attributes["snapshotflow.volume.id"]);
        }

        // The embedded Temporal says when each call reached it, under whoever made it.
        Assert.Equal("temporal-dev", Below(start, trace, "temporal.api.workflowservice.v1.WorkflowService/ExecuteMultiOperation").Single().Service);
        Assert.All(trace.Where(s => s.Service == "temporal-dev"), s => Assert.Contains(trace, parent => parent.SpanId == s.ParentId));

        Assert.Single(Descendants(Below(run, trace, "StartActivity:Quiesce").Single(), trace), s => s.Name == "guest-fsfreeze-freeze");
        Assert.Contains(Descendants(Below(run, trace, "StartActivity:Unquiesce").Single(), trace), s => s.Name == "guest-fsfreeze-thaw");
        var statements = Descendants(Below(run, trace, "StartActivity:PrepareImage").Single(), trace).Where(s => s.Scope == "Npgsql").ToList();
        Assert.NotEmpty(statements);
        Assert.All(statements, s => Assert.True(s.Attributes.GetValueOrDefault("db.system.name") == "postgresql" && s.Attributes.ContainsKey("db.query.text"), string.Join(' ', s.Attributes.Keys)));
    }

    [Fact]
    public async Task A_retried_activity_is_a_span_for_each_attempt_and_the_failed_one_says_why()
    {
        await using var server = await GuestServer.StartAsync(traced.Stack, new GuestServerOptions(), Ct);
        await traced.Stack.InjectAsync(Ct, new FaultRule { Operation = VolumeOperation.CreateSnapshot, Fault = VolumeFault.Fail, Kind = ErrorKind.BackendUnavailable, Times = 1 });

        var image = await traced.Tenant.CreateImageAsync(server.Id, "retried", Ct);
        Assert.Equal("completed", (await traced.Tenant.WaitForEndAsync(image, Patience, Ct)).Status);
        await traced.Stack.InjectAsync(Ct);

        var trace = await TraceOfAsync(image, t => t.Any(s => s.Name == "CompleteWorkflow:CreateImage"));
        var retried = trace.Where(s => s.Name == "RunActivity:CreateVolumeSnapshot").GroupBy(s => s.ParentId).Single(g => g.Count() == 2).OrderBy(s => s.Start).ToList();
        Assert.Equal([true, false], retried.Select(s => s.Failed));
        Assert.NotEmpty(retried[0].Attributes["error.type"]);
        Assert.Equal(["1", "2"], retried.Select(s => s.Attributes["temporalActivityAttempt"]));
    }

    [Fact]
    public async Task A_run_that_goes_on_after_its_worker_was_killed_stays_in_its_trace_and_what_lost_its_parent_links_to_who_started_the_run()
    {
        traced.Collector.Lose(traced.Stack.Worker(WorkerRole.Control).Id);
        await using var server = await GuestServer.StartAsync(traced.Stack, new GuestServerOptions(), Ct);
        await traced.Stack.InjectAsync(Ct, new FaultRule { Operation = VolumeOperation.CreateSnapshot, Fault = VolumeFault.Delay, Delay = TimeSpan.FromSeconds(1) });
        var image = await traced.Tenant.CreateImageAsync(server.Id, "resumed", Ct);
        await traced.Tenant.WaitForRunAsync(image, "between freeze and thaw", r => r.Did("Quiesce") && !r.Began("Unquiesce"), Patience, Ct);

        await traced.Stack.KillWorkerAsync(WorkerRole.Control, Ct);
        await traced.Stack.StartWorkerAsync(WorkerRole.Control, Ct);

        Assert.Equal("completed", (await traced.Tenant.WaitForEndAsync(image, Patience, Ct)).Status);
        await traced.Stack.InjectAsync(Ct);
        var trace = await TraceOfAsync(image, t => t.Any(s => s.Name == "CompleteWorkflow:CreateImage"));
        var start = Assert.Single(trace, s => s.Name == "UpdateWithStartWorkflow:CreateImage");
        Assert.Contains(Below(start, trace, "ResumeWorkflow:CreateImage").SelectMany(resumed => Descendants(resumed, trace)), s => s.Name == "RunActivity:CreateImageRecord");
        Assert.Single(Below(start, trace, "CompleteWorkflow:CreateImage"));

        // What was done before it was killed, on other workers, is in the same trace, although the points it hangs on died unsent.
        Assert.DoesNotContain(trace, s => s.Name is "RunWorkflow:CreateImage" or "StartActivity:Quiesce");
        var spans = trace.Select(s => s.SpanId).ToHashSet();
        var orphans = trace.Where(s => s.ParentId != "" && !spans.Contains(s.ParentId)).ToList();
        Assert.Contains(orphans, s => s.Name == "RunActivity:Quiesce");
        Assert.Equal(server.Volumes.Count, orphans.Count(s => s.Name == "RunActivity:CreateVolumeSnapshot"));
        Assert.All(orphans, s => Assert.True(s.LinkedSpans.Contains(start.SpanId), $"{s.Name} has lost its parent and leads nowhere"));
        await traced.Stack.WaitForWorkersAsync(Ct);
    }

    [Fact]
    public async Task Every_metric_that_the_processes_send_is_in_the_documentation_and_no_label_names_a_project_or_a_server()
    {
        await using var server = await GuestServer.StartAsync(traced.Stack, new GuestServerOptions { Group = "measured" }, Ct);
        await using var idle = await GuestServer.StartAsync(traced.Stack, new GuestServerOptions { Group = "idle", WithGuest = false }, Ct);
        var image = await traced.Tenant.CreateImageAsync(server.Id, "measured", Ct);
        Assert.Equal("completed", (await traced.Tenant.WaitForEndAsync(image, Patience, Ct)).Status);
        // What only a failure makes.
        string[] rare = ["snapshotflow.lease.expirations", "snapshotflow.compensations", "snapshotflow.leftovers"];
        var expected = OperatingFiles.DocumentedMetrics().Except(rare).ToList();

        await traced.Collector.WaitForAsync("every metric", _ => expected.All(m => traced.Collector.Points.Any(p => p.Metric == m)), Patience);

        Assert.Empty(traced.Collector.Points.Select(p => p.Metric).Where(m => m.StartsWith("snapshotflow.", StringComparison.Ordinal)).Distinct().Except(OperatingFiles.DocumentedMetrics()));
        Assert.Contains(traced.Collector.Points, p => p.Metric == "snapshotflow.server_group.last_success" && p.Labels["server_group"] == "measured");
        Assert.DoesNotContain(traced.Collector.Points, p => p.Metric == "snapshotflow.server_group.last_success" && p.Labels["server_group"] == "idle");
        Assert.Contains(traced.Collector.Points, p => p.Metric == "snapshotflow.server_group.without_success_since" && p.Labels["server_group"] == "idle");
        Assert.Contains(traced.Collector.Points, p => p.Metric == "snapshotflow.runs" && p.Labels["result"] == "completed" && p.Labels["consistency"] == "application");

        Assert.Contains(traced.Collector.Points, p => p.Metric.StartsWith("temporal_", StringComparison.Ordinal));
        var ids = server.Volumes.Select(v => v.ToString()).Concat([server.Id.ToString(), Tokens.TenantProject, image]).ToList();
        Assert.DoesNotContain(traced.Collector.Points, p => p.Labels.Values.Any(ids.Contains));
    }

    private async Task<IReadOnlyList<ReceivedSpan>> TraceOfAsync(string image, Func<IReadOnlyList<ReceivedSpan>, bool> complete)
    {
        var workflow = $"create-image/{image}";
        IReadOnlyList<ReceivedSpan> Of(IReadOnlyList<ReceivedSpan> spans) =>
            spans.FirstOrDefault(s => s.Attributes.GetValueOrDefault("temporalWorkflowID") == workflow && s.Name.StartsWith("UpdateWithStart", StringComparison.Ordinal)) is { } start
                ? [.. spans.Where(s => s.TraceId == start.TraceId)]
                : [];
        // The api's span ends last of all, and each process sends on its own.
        var all = await traced.Collector.WaitForAsync($"the trace of {workflow}", s => Of(s) is { Count: > 0 } t && t.Any(x => x.ParentId == "") && complete(t), Patience);
        return Of(all);
    }

    private static List<ReceivedSpan> Below(ReceivedSpan parent, IReadOnlyList<ReceivedSpan> trace, string name) => [.. trace.Where(s => s.ParentId == parent.SpanId && s.Name == name)];

    private static IEnumerable<ReceivedSpan> Descendants(ReceivedSpan parent, IReadOnlyList<ReceivedSpan> trace) =>
        trace.Where(s => s.ParentId == parent.SpanId).SelectMany(s => Descendants(s, trace).Prepend(s));
}

/// <summary>One stack for all who ask it something, one after the other: its faults and its dead workers are everybody's.</summary>
[CollectionDefinition]
public sealed class TracedProduct : ICollectionFixture<TracedStack>;

/// <summary>The whole product as real processes that send what they have to tell to a collector in this one.</summary>
public sealed class TracedStack : IAsyncLifetime
{
    private readonly DirectoryInfo directory = Directory.CreateTempSubdirectory("snapshotflow-test-");

    public OtlpCollector Collector { get; private set; } = null!;

    public DevelopmentStack Stack { get; private set; } = null!;

    public TenantClient Tenant { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Collector = await OtlpCollector.StartAsync();
        Stack = await DevelopmentStack.StartAsync(
            new StackOptions
            {
                StateDirectory = directory.FullName,
                Ephemeral = true,
                Settings = new Dictionary<string, string?>
                {
                    ["OTEL_EXPORTER_OTLP_ENDPOINT"] = Collector.Http,
                    ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
                    // Milliseconds between two sendings: nobody waits for the defaults of 5 s and 60 s.
                    ["OTEL_BSP_SCHEDULE_DELAY"] = "100",
                    ["OTEL_METRIC_EXPORT_INTERVAL"] = "500",
                },
            },
            _ => { },
            CancellationToken.None);
        Tenant = new TenantClient(Stack.Api, Stack.Tokens.Tenant);
        foreach (var resource in new[] { Quota.Snapshots, Quota.Volumes, Quota.Gigabytes })
        {
            await new QuotaStore(Stack.Database).SetLimitAsync(Tokens.TenantProject, resource, Quota.Unlimited, CancellationToken.None);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Tenant.Dispose();
        await Stack.DisposeAsync();
        await Collector.DisposeAsync();
        directory.Delete(recursive: true);
    }
}
