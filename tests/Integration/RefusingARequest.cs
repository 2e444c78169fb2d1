using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Integration;

/// <summary>What cannot be done is refused with the right status before anything is frozen, cut or written.</summary>
public sealed class RefusingARequest(RunningStack running)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_unknown_server_is_404()
    {
        var answer = await CreateImageAsync(running.Tenant, ServerId.New().ToString(), "image");

        Assert.Equal(HttpStatusCode.NotFound, answer.Status);
        Assert.Equal(404, answer.Body.GetProperty("itemNotFound").GetProperty("code").GetInt32());
    }

    [Theory]
    [InlineData(VmState.Building)]
    [InlineData(VmState.Error)]
    [InlineData(VmState.Rescued)]
    [InlineData(VmState.ShelvedOffloaded)]
    public async Task A_server_in_the_wrong_state_is_409_and_stays_untouched(VmState state)
    {
        await using var server = await running.ServerAsync(new() { State = state, WithGuest = false });
        var before = await running.HoldingsAsync();

        var answer = await CreateImageAsync(running.Tenant, server.Id.ToString(), "image");

        Assert.Equal(HttpStatusCode.Conflict, answer.Status);
        Assert.True(answer.Body.TryGetProperty("conflictingRequest", out _), answer.Body.ToString());
        Assert.Equal(before, await running.HoldingsAsync());
        Assert.Null(await running.TaskStateAsync(server));
    }

    [Theory]
    [InlineData("")]
    [InlineData("   ")]
    [InlineData("a\u0007b")]
    public async Task A_bad_name_is_400(string name)
    {
        await using var server = await running.ServerAsync(new() { WithGuest = false });

        Assert.Equal(HttpStatusCode.BadRequest, (await CreateImageAsync(running.Tenant, server.Id.ToString(), name)).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await running.Tenant.PostAsync("/runs", new { server_id = server.Id.ToString(), name }, Ct)).Status);
    }

    [Fact]
    public async Task A_name_of_more_than_255_characters_is_400()
    {
        await using var server = await running.ServerAsync(new() { WithGuest = false });

        Assert.Equal(HttpStatusCode.BadRequest, (await CreateImageAsync(running.Tenant, server.Id.ToString(), new string('x', 256))).Status);
    }

    [Fact]
    public async Task Bad_metadata_is_400()
    {
        await using var server = await running.ServerAsync(new() { WithGuest = false });
        object[] bad = [new { key = 1 }, new Dictionary<string, string> { [""] = "v" }, new Dictionary<string, string> { [new string('k', 256)] = "v" }, "text"];

        foreach (var metadata in bad)
        {
            var answer = await running.Tenant.PostAsync(Action(server.Id.ToString()), new { createImage = new { name = "image", metadata } }, Ct);
            Assert.True(answer.Status == HttpStatusCode.BadRequest, $"{System.Text.Json.JsonSerializer.Serialize(metadata)} → {(int)answer.Status} {answer.Body}");
            Assert.Equal(400, answer.Body.GetProperty("badRequest").GetProperty("code").GetInt32());
        }
    }

    [Theory]
    [InlineData("quiesce", "maybe")]
    [InlineData("freeze_deadline", "0")]
    [InlineData("on_expiry", "panic")]
    [InlineData("colour", "red")]
    public async Task A_run_with_a_wrong_member_is_400_and_names_it(string member, string value)
    {
        var answer = await running.Tenant.PostAsync("/runs", new Dictionary<string, string> { ["server_id"] = ServerId.New().ToString(), ["name"] = "image", [member] = value }, Ct);

        Assert.Equal(HttpStatusCode.BadRequest, answer.Status);
        Assert.Contains(member, answer.Body.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_body_that_is_not_JSON_is_400()
    {
        using var text = new StringContent("createImage", new MediaTypeHeaderValue("application/json"));

        Assert.Equal(HttpStatusCode.BadRequest, (await running.Tenant.SendAsync(HttpMethod.Post, Action(ServerId.New().ToString()), text, Ct)).Status);
    }

    [Fact]
    public async Task Over_quota_is_403_before_any_freeze()
    {
        await using var server = await running.ServerAsync(new() { Project = Tokens.OtherProject });
        await new QuotaStore(running.Stack.Database).SetLimitAsync(Tokens.OtherProject, Quota.Snapshots, 2, Ct);
        var before = await running.HoldingsAsync(Tokens.OtherProject);

        var answer = await CreateImageAsync(running.Other, server.Id.ToString(), "image");

        Assert.Equal(HttpStatusCode.Forbidden, answer.Status);
        Assert.Contains(Quota.Snapshots, answer.Body.GetProperty("forbidden").GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Empty(await server.ReadJournalAsync(Ct));
        Assert.Equal(before, await running.HoldingsAsync(Tokens.OtherProject));
        Assert.Null(await running.TaskStateAsync(server));
    }

    [Fact]
    public async Task A_second_image_while_one_is_being_made_is_409_and_does_not_disturb_the_first()
    {
        await using var server = await running.ServerAsync();
        await running.DelayCutsAsync(TimeSpan.FromSeconds(1));
        var first = await running.Tenant.CreateImageAsync(server.Id, "first", Ct);

        var second = await CreateImageAsync(running.Tenant, server.Id.ToString(), "second");

        await running.NoFaultsAsync();
        Assert.Equal(HttpStatusCode.Conflict, second.Status);
        Assert.Equal("completed", (await running.Tenant.WaitForEndAsync(first, TimeSpan.FromMinutes(2), Ct)).Status);
        Assert.Equal(["frozen", "thawed"], await server.ReadJournalAsync(Ct));
    }

    [Fact]
    public async Task A_guest_that_must_be_frozen_and_has_no_agent_is_refused_before_any_side_effect()
    {
        await using var server = await running.ServerAsync(new() { WithGuest = false, RequireQuiesce = true });
        var before = await running.HoldingsAsync();

        var answer = await CreateImageAsync(running.Tenant, server.Id.ToString(), "image");

        Assert.Equal(HttpStatusCode.Conflict, answer.Status);
        Assert.Equal(before, await running.HoldingsAsync());
        Assert.Null(await running.TaskStateAsync(server));
        Assert.DoesNotContain(server.Id.ToString(), (await running.Tenant.GetAsync("/image/v2/images", Ct)).Body.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/runs")]
    [InlineData("/image/v2/images")]
    [InlineData("/volume/v3/" + Tokens.TenantProject + "/snapshots")]
    [InlineData("/compute/v2.1/servers")]
    public async Task No_token_and_an_unknown_token_are_401(string path)
    {
        using var impostor = new TenantClient(running.Stack.Api, "0123456789abcdef0123456789abcdef");

        Assert.Equal(HttpStatusCode.Unauthorized, (await running.Stranger.GetAsync(path, Ct)).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await impostor.GetAsync(path, Ct)).Status);
    }

    [Fact]
    public async Task No_token_is_401_for_a_new_image_too()
    {
        await using var server = await running.ServerAsync(new() { WithGuest = false });

        Assert.Equal(HttpStatusCode.Unauthorized, (await CreateImageAsync(running.Stranger, server.Id.ToString(), "image")).Status);
        Assert.Null(await running.TaskStateAsync(server));
    }

    [Fact]
    public async Task Another_project_finds_neither_server_nor_image_nor_run_nor_snapshots()
    {
        await using var server = await running.ServerAsync();
        var image = await running.Tenant.CreateImageAsync(server.Id, "private", Ct);
        var run = await running.Tenant.WaitForEndAsync(image, TimeSpan.FromMinutes(2), Ct);
        var snapshot = run.Evidence!.Cuts[0].SnapshotId;

        Assert.Equal(HttpStatusCode.NotFound, (await CreateImageAsync(running.Other, server.Id.ToString(), "stolen")).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await running.Other.PostAsync("/runs", new { server_id = server.Id.ToString(), name = "stolen" }, Ct)).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await running.Other.GetAsync($"/image/v2/images/{image}", Ct)).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await running.Other.GetAsync($"/runs/{image}", Ct)).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await running.Other.PostAsync($"/runs/{image}/cancel", null, Ct)).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await running.Other.GetAsync($"/volume/v3/{Tokens.OtherProject}/snapshots/{snapshot}", Ct)).Status);
        Assert.DoesNotContain(image, (await running.Other.GetAsync("/image/v2/images", Ct)).Body.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(image, (await running.Other.GetAsync("/runs", Ct)).Body.ToString(), StringComparison.Ordinal);
    }

    private static string Action(string server) => $"/compute/v2.1/servers/{server}/action";

    private static Task<ApiAnswer> CreateImageAsync(TenantClient caller, string server, string name) =>
        caller.SendAsync(HttpMethod.Post, Action(server), JsonContent.Create(new { createImage = new { name } }), Ct);
}
