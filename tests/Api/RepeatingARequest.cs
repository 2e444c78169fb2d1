using System.Net;
using System.Text.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows;
using Temporalio.Client;

namespace SnapshotFlow.Tests.Api;

/// <summary>What an <c>Idempotency-Key</c> promises.</summary>
public sealed class RepeatingARequest(Cloud cloud) : IClassFixture<Cloud>, IDisposable
{
    private const string UsedBefore = "The Idempotency-Key was used for another request before. Use a new key for a new request.";

    private readonly ApiUnderTest api = cloud.Api;
    private readonly string key = $"key-{Guid.NewGuid()}";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        cloud.Hosts.Hold?.TrySetResult();
        cloud.Hosts.Hold = null;
    }

    [Theory]
    [InlineData("2.1")]
    [InlineData("2.45")]
    public async Task The_same_request_has_the_same_answer_also_long_after_its_run_is_forgotten(string version)
    {
        var server = await api.RegisterServerAsync();
        Task<Answer> AskAsync() => api.CreateImageAsync(
            server.Id, api.Tokens.Member, new { name = "snap", metadata = new { a = "1", b = "2" } }, ("Idempotency-Key", key), ("OpenStack-API-Version", $"compute {version}"));
        var first = await AskAsync();
        Assert.Equal(HttpStatusCode.Accepted, first.Status);
        var image = DeterministicId.Image(api.Tokens.Project, key);
        await EndedAsync(image);
        await ForgetAsync(image);

        AssertSame(first, await AskAsync());
        Assert.Equal(1, cloud.Hosts.Freezes[server.Id]);
    }

    [Fact]
    public async Task A_run_asked_for_by_our_own_api_is_repeatable_too()
    {
        var server = await api.RegisterServerAsync();
        Task<Answer> AskAsync() => api.PostAsync("/runs", api.Tokens.Member, new { server_id = server.Id, name = "snap" }, ("Idempotency-Key", key));
        var first = await AskAsync();
        await EndedAsync(DeterministicId.Image(api.Tokens.Project, key));

        AssertSame(first, await AskAsync());
        Assert.NotNull(first.Header("Location"));
    }

    [Fact]
    public async Task A_run_that_was_terminated_before_it_began_begins_anew_and_one_that_had_begun_says_where_to_look()
    {
        var (server, other) = (await api.RegisterServerAsync(), await api.RegisterServerAsync());
        Task<Answer> AskAsync(Server of, string with) => api.PostAsync("/runs", api.Tokens.Member, new { server_id = of.Id, name = "snap" }, ("Idempotency-Key", with));
        var (never, begun) = (await TerminatedAsync(server, key), await TerminatedAsync(other, $"{key}-begun"));
        await api.Service<Database>().WriteAsync(
            s => api.Service<RunStore>().OpenAsync(s, new()
            {
                ImageId = begun, ServerId = other.Id, ProjectId = api.Tokens.Project, UserId = "u", RequestId = "req-1", Name = "snap", Status = RunStatus.Running, Step = Step.CheckQuota, Quiesce = QuiesceMode.Try,
                StartedAt = TimeProvider.System.GetUtcNow(),
            }),
            Ct);

        Assert.Equal(HttpStatusCode.Accepted, (await AskAsync(server, key)).Status);
        await EndedAsync(never);
        Assert.Equal(1, cloud.Hosts.Freezes[server.Id]);
        (await AskAsync(other, $"{key}-begun")).IsFault(
            503, "serviceUnavailable", $"The run for image {begun} was ended from outside before it answered, and will be undone: see GET /runs/{begun}. Ask with a new request.");
    }

    [Fact]
    public async Task A_volume_snapshot_whose_run_was_terminated_before_it_began_begins_anew()
    {
        var server = await api.RegisterServerAsync();
        var volume = (await api.Service<ServerStore>().BlockDevicesAsync(server.Id, Ct))[0].VolumeId!.Value;
        var snapshot = DeterministicId.Snapshot(api.Tokens.Project, key);
        var run = await cloud.Client.StartWorkflowAsync(
            (CreateVolumeSnapshotWorkflow w) => w.RunAsync(new(snapshot, volume, null, null, new Dictionary<string, string>(), true, new(api.Tokens.Project, "u", new[] { "member" }), "req-1")),
            new(Names.CreateSnapshotWorkflow(snapshot), "nobody"));
        await run.TerminateAsync("by hand");

        var answer = await api.PostAsync(
            $"/volume/v3/{api.Tokens.Project}/snapshots", api.Tokens.Member, new { snapshot = new { volume_id = volume, name = "anew", force = true } }, ("Idempotency-Key", key));

        Assert.Equal((HttpStatusCode.Accepted, snapshot.ToString()), (answer.Status, answer.Json.GetProperty("snapshot").GetProperty("id").GetString()));
        await Eventually.IsAsync(
            async () => (await api.Service<SnapshotStore>().FindVisibleAsync(snapshot, new(api.Tokens.Project, "u", []), Ct))?.Status, s => s is SnapshotStatus.Available);
    }

    [Fact]
    public async Task A_volume_snapshot_is_repeatable_like_an_image()
    {
        var server = await api.RegisterServerAsync();
        var volume = (await api.Service<ServerStore>().BlockDevicesAsync(server.Id, Ct))[0].VolumeId!.Value;
        Task<Answer> AskAsync(string name) => api.PostAsync(
            $"/volume/v3/{api.Tokens.Project}/snapshots", api.Tokens.Member, new { snapshot = new { volume_id = volume, name, force = true } }, ("Idempotency-Key", key));
        var first = await AskAsync("once");
        Assert.Equal(HttpStatusCode.Accepted, first.Status);

        AssertSame(first, await AskAsync("once"));
        (await AskAsync("twice")).IsFault(409, "conflictingRequest", UsedBefore);
    }

    [Fact]
    public async Task A_refusal_by_the_run_is_given_again_although_the_reason_is_gone_and_the_run_forgotten()
    {
        var server = await api.RegisterServerAsync(s => s with { VmState = VmState.Error });
        var first = await AskAsync(server.Id);
        first.IsFault(409, "conflictingRequest", $"Cannot 'createImage' instance {server.Id} while it is in vm_state error");
        await ForgetAsync(DeterministicId.Image(api.Tokens.Project, key));

        AssertSame(first, await AskAsync(server.Id));
    }

    [Fact]
    public async Task Many_at_once_make_one_image_and_all_hear_the_same()
    {
        var server = await api.RegisterServerAsync();
        var answers = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => AskAsync(server.Id)));

        Assert.All(answers, a => AssertSame(answers[0], a));
        Assert.Equal(HttpStatusCode.Accepted, answers[0].Status);
        await EndedAsync(DeterministicId.Image(api.Tokens.Project, key));
        Assert.Equal(1, cloud.Hosts.Freezes[server.Id]);
        Assert.Equal(12, answers.Select(a => a.Header("x-openstack-request-id")).Distinct().Count());
    }

    [Fact]
    public async Task Another_body_path_or_server_under_the_key_is_409_while_the_run_goes_on_and_afterwards()
    {
        var (server, other) = (await api.RegisterServerAsync(), await api.RegisterServerAsync());
        cloud.Hosts.Hold = new();
        Assert.Equal(HttpStatusCode.Accepted, (await AskAsync(server.Id)).Status);
        await AssertConflictsAsync();
        cloud.Hosts.Hold.SetResult();
        await EndedAsync(DeterministicId.Image(api.Tokens.Project, key));
        await AssertConflictsAsync();
        Assert.False(cloud.Hosts.Freezes.ContainsKey(other.Id));

        async Task AssertConflictsAsync()
        {
            (await AskAsync(other.Id)).IsFault(409, "conflictingRequest", UsedBefore);
            (await AskAsync(server.Id, new { name = "another" })).IsFault(409, "conflictingRequest", UsedBefore);
            (await api.PostAsync("/runs", api.Tokens.Member, new { server_id = server.Id, name = "snap" }, ("Idempotency-Key", key))).IsFault(409, "conflictingRequest", UsedBefore);
        }
    }

    [Fact]
    public async Task Members_in_another_order_are_the_same_body()
    {
        var server = await api.RegisterServerAsync();
        Task<Answer> AskAsync(string body) => api.PostTextAsync("/runs", api.Tokens.Member, body, "application/json", ("Idempotency-Key", key));
        var first = await AskAsync($$"""{"server_id":"{{server.Id}}","name":"snap","metadata":{"a":"1","b":"2"} }""");

        AssertSame(first, await AskAsync($$"""{ "metadata": {"b":"2", "a":"1"}, "name": "snap", "server_id": "{{server.Id}}" }"""));
    }

    [Fact]
    public async Task A_request_that_was_turned_away_before_anything_began_gives_its_key_back()
    {
        var server = await api.RegisterServerAsync();
        (await AskAsync(ServerId.New())).IsFault(404, "itemNotFound");
        (await AskAsync(server.Id, new { nome = "snap" })).IsFault(400, "badRequest");
        (await AskAsync(server.Id, token: api.Tokens.Reader)).IsFault(403, "forbidden");

        Assert.Equal(HttpStatusCode.Accepted, (await AskAsync(server.Id)).Status);
    }

    [Fact]
    public async Task A_dry_run_begins_nothing_and_keeps_no_key()
    {
        var server = await api.RegisterServerAsync();
        var plan = await api.PostAsync("/runs", api.Tokens.Member, new { server_id = server.Id, name = "snap", dry_run = true }, ("Idempotency-Key", key));
        Assert.Equal(HttpStatusCode.OK, plan.Status);

        Assert.Equal(HttpStatusCode.Accepted, (await AskAsync(server.Id)).Status);
    }

    [Fact]
    public async Task Whoever_may_not_ask_does_not_hear_the_answer_again_either()
    {
        var server = await api.RegisterServerAsync();
        await AskAsync(server.Id);

        (await AskAsync(server.Id, token: api.Tokens.Reader)).IsFault(403, "forbidden");
    }

    [Fact]
    public async Task An_answer_that_was_lost_before_it_was_kept_is_found_by_the_run_row_once_Temporal_has_forgotten()
    {
        var server = await api.RegisterServerAsync();
        var first = await AskAsync(server.Id);
        var image = DeterministicId.Image(api.Tokens.Project, key);
        await EndedAsync(image);
        await ForgetAsync(image);
        await LoseAnswerAsync();

        AssertSame(first, await AskAsync(server.Id));
        Assert.Equal(1, cloud.Hosts.Freezes[server.Id]);
    }

    [Fact]
    public async Task The_caller_s_own_request_id_is_kept_with_the_run_and_shown()
    {
        var server = await api.RegisterServerAsync();
        var global = $"req-{Guid.NewGuid()}";
        var answer = await api.PostAsync("/runs", api.Tokens.Member, new { server_id = server.Id, name = "snap" }, ("X-OpenStack-Request-ID", global));
        var run = await EndedAsync(ImageId.Parse(answer.Json.GetProperty("image_id").GetString()!));

        Assert.Equal((global, answer.Header("x-openstack-request-id")), (run.GetProperty("global_request_id").GetString(), run.GetProperty("request_id").GetString()));
    }

    [Theory]
    [InlineData("req-1")]
    [InlineData("not one; DROP TABLE runs")]
    public async Task A_malformed_request_id_of_the_caller_is_left_out(string wrong)
    {
        var server = await api.RegisterServerAsync();
        var answer = await api.PostAsync("/runs", api.Tokens.Member, new { server_id = server.Id, name = "snap" }, ("X-OpenStack-Request-ID", wrong));
        var run = await EndedAsync(ImageId.Parse(answer.Json.GetProperty("image_id").GetString()!));

        Assert.Equal(JsonValueKind.Null, run.GetProperty("global_request_id").ValueKind);
    }

    private Task<Answer> AskAsync(ServerId server, object? body = null, string? token = null) =>
        api.CreateImageAsync(server, token ?? api.Tokens.Member, body ?? new { name = "snap" }, ("Idempotency-Key", key), ("OpenStack-API-Version", "compute 2.45"));

    /// <summary>What retention does to a run that is over.</summary>
    private async Task ForgetAsync(ImageId image)
    {
        var run = cloud.Client.GetWorkflowHandle(Names.CreateImageWorkflow(image));
        await cloud.Client.WorkflowService.DeleteWorkflowExecutionAsync(new() { Namespace = cloud.Client.Options.Namespace, WorkflowExecution = new() { WorkflowId = run.Id } });
        await Eventually.IsAsync(
            async () =>
            {
                try
                {
                    await run.DescribeAsync();
                    return false;
                }
                catch (Temporalio.Exceptions.RpcException e) when (e.Code is Temporalio.Exceptions.RpcException.StatusCode.NotFound)
                {
                    return true;
                }
            },
            gone => gone);
    }

    /// <summary>The process died between the run's acceptance and the keeping of the answer.</summary>
    private async Task LoseAnswerAsync()
    {
        await using var source = Npgsql.NpgsqlDataSource.Create(cloud.Database);
        await using var command = source.CreateCommand("UPDATE idempotent_requests SET status = NULL, answered_at = NULL WHERE key = $1");
        command.Parameters.AddWithValue(key);
        Assert.Equal(1, await command.ExecuteNonQueryAsync(Ct));
    }

    private Task<JsonElement> EndedAsync(ImageId id) => Eventually.IsAsync(
        async () => (await api.GetAsync($"/runs/{id}", api.Tokens.Reader)).Json, r => r.TryGetProperty("ended_at", out var ended) && ended.ValueKind is JsonValueKind.String);

    private static void AssertSame(Answer expected, Answer actual)
    {
        static IEnumerable<string> Headers(Answer a) => a.Response.Headers.Concat(a.Response.Content.Headers)
            .Where(h => h.Key.ToLowerInvariant() is not ("date" or "x-openstack-request-id" or "x-compute-request-id"))
            .Select(h => $"{h.Key}: {string.Join(", ", h.Value)}").Order();
        Assert.Equal((expected.Status, expected.Text), (actual.Status, actual.Text));
        Assert.Equal(Headers(expected), Headers(actual));
    }

    /// <summary>The image of a key whose run nobody has served and somebody has terminated.</summary>
    private async Task<ImageId> TerminatedAsync(Server server, string of)
    {
        var image = DeterministicId.Image(api.Tokens.Project, of);
        var run = await cloud.Client.StartWorkflowAsync(
            (CreateImageWorkflow w) => w.RunAsync(new(image, server.Id, "snap", new Dictionary<string, string>(), new(api.Tokens.Project, "u", new[] { "member" }), "req-1")),
            new(Names.CreateImageWorkflow(image), "nobody"));
        await run.TerminateAsync("by hand");
        return image;
    }
}
