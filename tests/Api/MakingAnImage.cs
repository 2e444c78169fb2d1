using System.Net;
using System.Text.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Tests.Store;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Api;

/// <summary>From the request to the active image, with everything behind the api: what a tenant sees, and what is there afterwards.</summary>
public sealed class MakingAnImage(Cloud cloud) : IClassFixture<Cloud>, IDisposable
{
    private readonly ApiUnderTest api = cloud.Api;
    private readonly FakeHosts hosts = cloud.Hosts;

    public void Dispose()
    {
        hosts.Hold?.TrySetResult();
        (hosts.Hold, hosts.Guest) = (null, new(true, null));
    }

    [Fact]
    public async Task Below_2_45_the_answer_is_a_location_and_no_body()
    {
        var server = await api.RegisterServerAsync();
        var answer = await api.CreateImageAsync(server.Id, api.Tokens.Member, new { name = "snap" }, ("OpenStack-API-Version", "compute 2.44"));
        Assert.Equal((HttpStatusCode.Accepted, ""), (answer.Status, answer.Text));
        var location = new Uri(answer.Header("Location")!, UriKind.Absolute);
        Assert.Equal("active", (await ImageWhenAsync(ImageId.Parse(location.Segments[^1]))).GetProperty("status").GetString());
        Assert.Equal(HttpStatusCode.OK, (await api.GetAsync(location.PathAndQuery, api.Tokens.Member)).Status);
    }

    [Fact]
    public async Task From_2_45_on_the_answer_is_the_image_id_and_no_location()
    {
        var server = await api.RegisterServerAsync(volumes: 3);
        var answer = await api.CreateImageAsync(server.Id, api.Tokens.Member, new { name = "snap", metadata = new { note = "₡" } }, ("OpenStack-API-Version", "compute 2.45"));
        Assert.Equal(HttpStatusCode.Accepted, answer.Status);
        Assert.Null(answer.Header("Location"));
        Assert.Equal("image_id", Assert.Single(answer.Json.EnumerateObject()).Name);

        var image = await ImageWhenAsync(ImageId.Parse(answer.Json.GetProperty("image_id").GetString()!));
        Assert.Equal(("active", "True", "₡"), (image.GetProperty("status").GetString(), image.GetProperty("bdm_v2").GetString(), image.GetProperty("note").GetString()));
        var mapping = JsonDocument.Parse(image.GetProperty("block_device_mapping").GetString()!).RootElement.EnumerateArray().ToList();
        Assert.Equal(3, mapping.Count);
        foreach (var entry in mapping)
        {
            var snapshot = await api.GetAsync($"/volume/v3/{api.Tokens.Project}/snapshots/{entry.GetProperty("snapshot_id").GetString()}", api.Tokens.Reader);
            Assert.Equal("available", snapshot.Json.GetProperty("snapshot").GetProperty("status").GetString());
        }

        Assert.Equal(1, hosts.Freezes[server.Id]);
    }

    [Fact]
    public async Task A_locked_server_is_no_obstacle()
    {
        var server = await api.RegisterServerAsync(s => s with { Locked = true });
        await ImageWhenAsync(await AcceptedAsync(server));
    }

    [Theory]
    [InlineData(VmState.Stopped)]
    [InlineData(VmState.Paused)]
    [InlineData(VmState.Suspended)]
    public async Task A_server_that_does_not_run_is_never_frozen(VmState state)
    {
        var server = await api.RegisterServerAsync(s => s with { VmState = state });
        var id = await AcceptedAsync(server);
        await ImageWhenAsync(id);
        Assert.False(hosts.Freezes.ContainsKey(server.Id));
        Assert.Equal("offline", (await RunWhenAsync(id, "completed")).GetProperty("evidence").GetProperty("consistency").GetString());
    }

    [Theory]
    [InlineData(VmState.Building, "building")]
    [InlineData(VmState.Rescued, "rescued")]
    [InlineData(VmState.Error, "error")]
    [InlineData(VmState.ShelvedOffloaded, "shelved_offloaded")]
    public async Task A_server_in_another_state_is_409(VmState state, string shown)
    {
        var server = await api.RegisterServerAsync(s => s with { VmState = state });
        (await api.CreateImageAsync(server.Id, api.Tokens.Member, new { name = "snap" }))
            .IsFault(409, "conflictingRequest", $"Cannot 'createImage' instance {server.Id} while it is in vm_state {shown}");
    }

    [Fact]
    public async Task A_server_with_something_else_going_on_is_409()
    {
        var server = await api.RegisterServerAsync(s => s with { TaskState = "powering-off" });
        (await api.CreateImageAsync(server.Id, api.Tokens.Member, new { name = "snap" }))
            .IsFault(409, "conflictingRequest", $"Cannot 'createImage' instance {server.Id} while it is in task_state powering-off");
    }

    [Fact]
    public async Task A_server_that_never_ran_is_409()
    {
        var server = await api.RegisterServerAsync(s => s with { LaunchedAt = null });
        (await api.CreateImageAsync(server.Id, api.Tokens.Member, new { name = "snap" })).IsFault(409, "conflictingRequest");
    }

    [Fact]
    public async Task A_second_image_while_one_runs_is_409_and_the_first_goes_on()
    {
        var server = await api.RegisterServerAsync();
        hosts.Hold = new();
        var first = await AcceptedAsync(server);
        (await api.CreateImageAsync(server.Id, api.Tokens.Member, new { name = "second" }))
            .IsFault(409, "conflictingRequest", $"Cannot 'createImage' instance {server.Id} while it is in task_state image_snapshot");
        hosts.Hold.SetResult();
        await ImageWhenAsync(first);
        Assert.Null((await ServerAsync(server)).TaskState);
    }

    [Fact]
    public async Task Over_quota_is_403_before_any_freeze_and_leaves_nothing()
    {
        var server = await api.RegisterServerAsync(project: api.Tokens.OtherProject, volumes: 2);
        await api.Service<QuotaStore>().SetLimitAsync(api.Tokens.OtherProject, "snapshots", 1, TestContext.Current.CancellationToken);
        (await api.CreateImageAsync(server.Id, api.Tokens.OtherMember, new { name = "snap" })).IsFault(403, "forbidden", "Quota exceeded for resources: snapshots (snapshots: 2 more, 0 of 1 taken)");
        await NothingIsLeftAsync(server, api.Tokens.OtherMember);
        await api.Service<QuotaStore>().SetLimitAsync(api.Tokens.OtherProject, "snapshots", 2, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.Accepted, (await api.CreateImageAsync(server.Id, api.Tokens.OtherMember, new { name = "snap" })).Status);
    }

    [Fact]
    public async Task Quiescing_that_is_required_and_impossible_is_refused_before_any_side_effect()
    {
        Server Requiring(Server s) => s with { SystemMetadata = new Dictionary<string, string?>(s.SystemMetadata) { ["image_os_require_quiesce"] = "True" } };
        var without = await api.RegisterServerAsync(s => Requiring(s) with { GuestAgentAddress = null });
        (await api.CreateImageAsync(without.Id, api.Tokens.Member, new { name = "snap" })).IsFault(400, "badRequest", "QEMU guest agent is not enabled");
        await NothingIsLeftAsync(without, api.Tokens.Member);

        hosts.Guest = new(false, "the agent does not answer");
        var silent = await api.RegisterServerAsync(Requiring);
        (await api.CreateImageAsync(silent.Id, api.Tokens.Member, new { name = "snap" })).IsFault(409, "conflictingRequest", "Failed to quiesce instance: the agent does not answer");
        await NothingIsLeftAsync(silent, api.Tokens.Member);

        var plain = await api.RegisterServerAsync();
        (await api.PostAsync("/runs", api.Tokens.Member, new { server_id = plain.Id, name = "snap", quiesce = "require" })).IsFault(409, "conflictingRequest");
        await NothingIsLeftAsync(plain, api.Tokens.Member);
    }

    [Fact]
    public async Task The_same_idempotency_key_is_the_same_image_while_it_is_made_and_afterwards()
    {
        var server = await api.RegisterServerAsync();
        hosts.Hold = new();
        var first = await AcceptedAsync(server, ("Idempotency-Key", "order-1"));
        Assert.Equal(first, await AcceptedAsync(server, ("Idempotency-Key", "order-1")));
        hosts.Hold.SetResult();
        await RunWhenAsync(first, "completed");
        Assert.Equal(first, await AcceptedAsync(server, ("Idempotency-Key", "order-1")));
        Assert.Equal(DeterministicId.Image(api.Tokens.Project, "order-1"), first);
        Assert.Equal(1, hosts.Snapshots.Values.Count(v => hosts.Snapshots.ContainsKey(DeterministicId.Snapshot(first, v))));
        Assert.NotEqual(first, await AcceptedAsync(server, ("Idempotency-Key", "order-2")));
    }

    [Fact]
    public async Task The_same_idempotency_key_for_something_else_is_409()
    {
        var server = await api.RegisterServerAsync();
        var id = await AcceptedAsync(server, ("Idempotency-Key", "once"));
        foreach (var other in new object[] { new { name = "other" }, new { name = "snap", metadata = new { a = "b" } } })
        {
            (await api.CreateImageAsync(server.Id, api.Tokens.Member, other, ("Idempotency-Key", "once")))
                .IsFault(409, "conflictingRequest", "The Idempotency-Key was used for another request before. Use a new key for a new request.");
        }

        await ImageWhenAsync(id);
        // A key means something only within its project.
        Assert.NotEqual(id, DeterministicId.Image(api.Tokens.OtherProject, "once"));
    }

    [Fact]
    public async Task A_refusal_repeated_with_the_same_key_is_the_same_refusal()
    {
        var server = await api.RegisterServerAsync(s => s with { VmState = VmState.Error });
        for (var i = 0; i < 2; i++)
        {
            (await api.CreateImageAsync(server.Id, api.Tokens.Member, new { name = "snap" }, ("Idempotency-Key", "refused-1")))
                .IsFault(409, "conflictingRequest", $"Cannot 'createImage' instance {server.Id} while it is in vm_state error");
        }
    }

    [Fact]
    public async Task A_run_can_be_watched_live_while_its_guest_is_frozen()
    {
        var server = await api.RegisterServerAsync(volumes: 2);
        hosts.Hold = new();
        var answer = await api.PostAsync("/runs", api.Tokens.Member, new { server_id = server.Id, name = "snap", quiesce = "require", freeze_deadline = 30, on_expiry = "fail" });
        Assert.Equal(HttpStatusCode.Accepted, answer.Status);
        var id = ImageId.Parse(answer.Json.GetProperty("image_id").GetString()!);
        Assert.Equal($"/runs/{id}", answer.Header("Location"));
        Assert.Equal([$"{api.Url}runs/{id}", $"{api.Url}image/v2/images/{id}"], answer.Json.GetProperty("links").EnumerateArray().Select(l => l.GetProperty("href").GetString()));

        var live = await Eventually.IsAsync(
            async () => (await api.GetAsync($"/runs/{id}", api.Tokens.Reader)).Json, r => r.GetProperty("step").GetString() == "CreateVolumeSnapshot");
        Assert.Equal(("running", true, true, "require"), (
            live.GetProperty("status").GetString(), live.GetProperty("live").GetBoolean(), live.GetProperty("frozen").GetBoolean(), live.GetProperty("quiesce").GetString()));
        Assert.True(live.GetProperty("freeze_deadline_at").GetDateTimeOffset() > live.GetProperty("started_at").GetDateTimeOffset().AddSeconds(20));
        Assert.Contains(live.GetProperty("steps").EnumerateArray(), s => s.GetProperty("step").GetString() == "Quiesce" && s.GetProperty("duration_ms").ValueKind is JsonValueKind.Number);

        hosts.Hold.SetResult();
        var done = await RunWhenAsync(id, "completed");
        Assert.Equal((false, "application", 2), (
            done.GetProperty("live").GetBoolean(), done.GetProperty("evidence").GetProperty("consistency").GetString(), done.GetProperty("evidence").GetProperty("cuts").GetArrayLength()));
        Assert.True(done.GetProperty("evidence").GetProperty("freeze_ms").GetDouble() > 0);
    }

    [Fact]
    public async Task A_cancelled_run_leaves_no_image_and_is_over()
    {
        var server = await api.RegisterServerAsync();
        hosts.Hold = new();
        var id = await AcceptedAsync(server);
        (await api.PostAsync($"/runs/{id}/cancel", api.Tokens.OtherMember, new { })).IsFault(404, "itemNotFound");
        var cancel = await api.PostAsync($"/runs/{id}/cancel", api.Tokens.Member, new { });
        Assert.Equal((HttpStatusCode.Accepted, $"/runs/{id}"), (cancel.Status, cancel.Header("Location")));
        var run = await RunWhenAsync(id, "cancelled");
        Assert.Equal(0, run.GetProperty("leftovers").GetArrayLength());
        await NothingIsLeftAsync(server, api.Tokens.Member);
        (await api.GetAsync($"/image/v2/images/{id}", api.Tokens.Member)).IsImageFault(404, "Not Found", $"No image found with ID {id}");
        (await api.PostAsync($"/runs/{id}/cancel", api.Tokens.Member, new { })).IsFault(409, "conflictingRequest");
    }

    [Fact]
    public async Task A_dry_run_says_what_would_happen_and_does_nothing()
    {
        var server = await api.RegisterServerAsync(volumes: 2);
        var plan = await api.PostAsync("/runs", api.Tokens.Member, new { server_id = server.Id, name = "snap", dry_run = true });
        Assert.Equal(HttpStatusCode.OK, plan.Status);
        Assert.Equal((true, "application", 2), (
            plan.Json.GetProperty("accepted").GetBoolean(), plan.Json.GetProperty("consistency").GetString(), plan.Json.GetProperty("volumes").GetArrayLength()));
        await NothingIsLeftAsync(server, api.Tokens.Member);

        var skipped = (await api.PostAsync("/runs", api.Tokens.Member, new { server_id = server.Id, name = "snap", dry_run = true, quiesce = "skip" })).Json;
        Assert.Equal("crash", skipped.GetProperty("consistency").GetString());
        Assert.NotEqual("", skipped.GetProperty("reason").GetString());
    }

    [Fact]
    public async Task A_dry_run_says_why_not()
    {
        var server = await api.RegisterServerAsync(s => s with { VmState = VmState.Error });
        var plan = await api.PostAsync("/runs", api.Tokens.Member, new { server_id = server.Id, name = "snap", dry_run = true });
        Assert.Equal(HttpStatusCode.OK, plan.Status);
        Assert.False(plan.Json.GetProperty("accepted").GetBoolean());
        var refusal = plan.Json.GetProperty("refusal");
        Assert.Equal((409, "StaleStatus", $"Cannot 'createImage' instance {server.Id} while it is in vm_state error"), (
            refusal.GetProperty("code").GetInt32(), refusal.GetProperty("kind").GetString(), refusal.GetProperty("message").GetString()));
    }

    [Fact]
    public async Task Ready_means_that_database_and_Temporal_answer()
    {
        var ready = await api.GetAsync("/health/ready", null);
        Assert.Equal((HttpStatusCode.OK, "ok"), (ready.Status, ready.Json.GetProperty("status").GetString()));
        Assert.Equal("ok", ready.Json.GetProperty("checks").GetProperty("temporal").GetString());
    }

    private async Task<ImageId> AcceptedAsync(Server server, params (string, string)[] headers)
    {
        var answer = await api.CreateImageAsync(server.Id, api.Tokens.Member, new { name = "snap" }, [.. headers, ("OpenStack-API-Version", "compute 2.45")]);
        Assert.True(answer.Status is HttpStatusCode.Accepted, answer.Text);
        return ImageId.Parse(answer.Json.GetProperty("image_id").GetString()!);
    }

    private Task<JsonElement> ImageWhenAsync(ImageId id) => Eventually.IsAsync(
        async () => (await api.GetAsync($"/image/v2/images/{id}", api.Tokens.Reader)).Json, i => i.GetProperty("status").GetString() == "active");

    private Task<JsonElement> RunWhenAsync(ImageId id, string status) => Eventually.IsAsync(
        async () => (await api.GetAsync($"/runs/{id}", api.Tokens.Reader)).Json, r => r.GetProperty("status").GetString() == status && !r.GetProperty("live").GetBoolean());

    private async Task<Server> ServerAsync(Server server) => (await api.Service<ServerStore>().FindAsync(server.Id, TestContext.Current.CancellationToken))!;

    /// <summary>No task state, no snapshot of the server's volumes, in the records or in the back end, and no freeze that is not over.</summary>
    private async Task NothingIsLeftAsync(Server server, string token)
    {
        Assert.Null((await ServerAsync(server)).TaskState);
        var volumes = (await api.Service<ServerStore>().BlockDevicesAsync(server.Id, TestContext.Current.CancellationToken)).Select(d => d.VolumeId!.Value).ToList();
        foreach (var volume in volumes)
        {
            var snapshots = await api.GetAsync($"/volume/v3/{server.ProjectId}/snapshots?volume_id={volume}", token);
            Assert.Equal(0, snapshots.Json.GetProperty("snapshots").GetArrayLength());
            Assert.DoesNotContain(volume, hosts.Snapshots.Values);
        }
    }
}

/// <summary>Nobody serves the control queue: the caller is told so in time, and what was asked for never happens.</summary>
public sealed class WithoutAnyWorker(PrivatePostgres postgres)
{
    [Fact]
    public async Task A_request_that_nobody_accepts_is_503_and_withdrawn()
    {
        await using var temporal = await TemporalDev.Hosting.TemporalDevServer.StartAsync(
            new() { SearchAttributes = Workflows.SearchAttributes.All.ToDictionary(a => a.Name, _ => "Keyword") }, TestContext.Current.CancellationToken);
        await using var api = await ApiUnderTest.StartAsync(await postgres.CreateDatabaseAsync(migrated: true), temporal.Address, "--Runs:AcceptTimeout=00:00:01");
        var server = await api.RegisterServerAsync();

        var answer = await api.CreateImageAsync(server.Id, api.Tokens.Member, new { name = "snap" });
        answer.IsFault(503, "serviceUnavailable");
        var message = answer.Json.GetProperty("serviceUnavailable").GetProperty("message").GetString()!;
        Assert.Matches("^No worker has accepted the request in time. Image .* was withdrawn, nothing will be left of it. Try again later.$", message);
        var withdrawn = ImageId.Parse(message.Split("Image ")[1].Split(' ')[0]);
        (await api.PostAsync("/runs", api.Tokens.Member, new { server_id = server.Id, name = "snap", dry_run = true })).IsFault(503, "serviceUnavailable");
        var keyed = await api.CreateImageAsync(server.Id, api.Tokens.Member, new { name = "snap" }, ("Idempotency-Key", "k"));
        keyed.IsFault(503, "serviceUnavailable");
        Assert.Contains("Idempotency-Key", keyed.Text, StringComparison.Ordinal);
        Assert.Equal("5", keyed.Header("Retry-After"));

        var client = await TemporalClient.ConnectAsync(new(temporal.Address));
        using var late = Cloud.ControlWorker(client, api);
        await late.ExecuteAsync(
            async () =>
            {
                var failure = await Assert.ThrowsAsync<WorkflowFailedException>(() => client.GetWorkflowHandle(Names.CreateImageWorkflow(withdrawn)).GetResultAsync());
                Assert.IsType<CanceledFailureException>(failure.InnerException);
            },
            TestContext.Current.CancellationToken);
        (await api.GetAsync($"/image/v2/images/{withdrawn}", api.Tokens.Member)).IsImageFault(404, "Not Found", $"No image found with ID {withdrawn}");
    }
}
