using System.Net;
using System.Net.Http.Json;
using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;

namespace SnapshotFlow.Tests.Integration;

/// <summary>From the request to the active image, through every process.</summary>
public sealed class MakingAnImage(RunningStack running)
{
    private static readonly TimeSpan RunDeadline = TimeSpan.FromMinutes(2);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_image_of_a_running_server_is_active_application_consistent_and_references_one_available_snapshot_per_volume()
    {
        await using var server = await running.ServerAsync();

        var image = await running.Tenant.CreateImageAsync(server.Id, "nightly", Ct);
        var run = await running.Tenant.WaitForEndAsync(image, RunDeadline, Ct);

        Assert.Equal("completed", run.Status);
        Assert.Equal("application", run.Evidence?.Consistency);
        Assert.Equal(["frozen", "thawed"], await server.ReadJournalAsync(Ct));
        Assert.All(run.Evidence!.Cuts, cut => Assert.InRange(cut.CutAt, run.Evidence.FrozenAt!.Value, run.Evidence.ThawedAt!.Value));
        var record = (await running.Tenant.GetAsync($"/image/v2/images/{image}", Ct)).Expect(HttpStatusCode.OK).Body;
        Assert.Equal("active", record.GetProperty("status").GetString());
        var mapping = record.GetProperty("block_device_mapping").GetString()!;
        var snapshots = (await running.Tenant.ListSnapshotsAsync(Tokens.TenantProject, Ct)).Where(s => server.Volumes.Any(v => v.ToString() == s.Volume)).ToList();
        Assert.Equal(server.Volumes.Select(v => v.ToString()).Order(), snapshots.Select(s => s.Volume).Order());
        Assert.All(snapshots, s => Assert.Equal("available", s.Status));
        Assert.All(snapshots, s => Assert.Contains(s.Id, mapping, StringComparison.Ordinal));
        Assert.Equal(
            snapshots.Select(s => s.Id).Order(),
            (await running.Stack.Storage.SnapshotsAsync(Ct)).Where(s => server.Volumes.Contains(s.Volume)).Select(s => s.Snapshot.ToString()).Order());
        Assert.Null(await running.TaskStateAsync(server));
    }

    [Fact]
    public async Task From_microversion_2_45_the_answer_is_the_image_id_and_before_that_its_location()
    {
        await using var server = await running.ServerAsync();

        var old = await ActAsync(server, "2.44");
        await running.Tenant.WaitForEndAsync(old.Location!.Segments[^1], RunDeadline, Ct);
        var modern = await ActAsync(server, "2.45");

        Assert.Equal(HttpStatusCode.Accepted, old.Status);
        Assert.Equal(HttpStatusCode.Accepted, modern.Status);
        Assert.Null(modern.Location);
        var image = modern.Body.GetProperty("image_id").GetString()!;
        Assert.Equal("completed", (await running.Tenant.WaitForEndAsync(image, RunDeadline, Ct)).Status);
    }

    [Fact]
    public async Task The_image_of_a_stopped_server_is_made_offline_without_touching_its_agent()
    {
        await using var server = await running.ServerAsync(new() { State = VmState.Stopped });

        var image = await running.Tenant.CreateImageAsync(server.Id, "cold", Ct);
        var run = await running.Tenant.WaitForEndAsync(image, RunDeadline, Ct);

        Assert.Equal("completed", run.Status);
        Assert.Equal("offline", run.Evidence?.Consistency);
        Assert.Empty(await server.ReadJournalAsync(Ct));
    }

    [Fact]
    public async Task A_dry_run_says_what_would_happen_and_does_nothing()
    {
        await using var server = await running.ServerAsync();
        var before = await running.HoldingsAsync();

        var answer = (await running.Tenant.PostAsync("/runs", new { server_id = server.Id.ToString(), name = "maybe", dry_run = true }, Ct)).Expect(HttpStatusCode.OK);

        Assert.True(answer.Body.GetProperty("accepted").GetBoolean(), answer.Body.ToString());
        Assert.Equal("application", answer.Body.GetProperty("consistency").GetString());
        Assert.Equal(3, answer.Body.GetProperty("volumes").GetArrayLength());
        Assert.Empty(await server.ReadJournalAsync(Ct));
        Assert.Equal(before, await running.HoldingsAsync());
        Assert.Null(await running.TaskStateAsync(server));
    }

    [Fact]
    public async Task The_same_request_with_the_same_idempotency_key_is_the_same_image()
    {
        await using var server = await running.ServerAsync();

        var first = await StartAsync(server, "retry-me");
        var second = await StartAsync(server, "retry-me");

        Assert.Equal(first, second);
        Assert.Equal("completed", (await running.Tenant.WaitForEndAsync(first, RunDeadline, Ct)).Status);
        Assert.Equal(3, (await running.Stack.Storage.SnapshotsAsync(Ct)).Count(s => server.Volumes.Contains(s.Volume)));
    }

    [Fact]
    public async Task Cancelling_while_the_guest_is_frozen_thaws_it_and_leaves_nothing()
    {
        await using var server = await running.ServerAsync();
        var before = await running.HoldingsAsync();
        await running.DelayCutsAsync(TimeSpan.FromSeconds(3));
        var image = await running.Tenant.CreateImageAsync(server.Id, "unwanted", Ct);
        await running.Tenant.WaitForRunAsync(image, "frozen", run => run.Did("Quiesce"), RunDeadline, Ct);

        (await running.Tenant.PostAsync($"/runs/{image}/cancel", null, Ct)).Expect(HttpStatusCode.Accepted);

        var run = await running.Tenant.WaitForEndAsync(image, RunDeadline, Ct);
        await running.NoFaultsAsync();
        Assert.Equal("cancelled", run.Status);
        Assert.Empty(run.Leftovers);
        Assert.Equal(["frozen", "thawed"], await server.ReadJournalAsync(Ct));
        Assert.Null(await running.Tenant.ImageStatusAsync(image, Ct));
        Assert.Equal(before, await running.HoldingsAsync());
        Assert.Null(await running.TaskStateAsync(server));
    }

    [Fact]
    public async Task A_volume_that_cannot_be_cut_fails_the_run_thaws_the_guest_and_leaves_nothing()
    {
        await using var server = await running.ServerAsync();
        var before = await running.HoldingsAsync();
        await running.Stack.InjectAsync(Ct, new FaultRule
        {
            Operation = VolumeOperation.CreateSnapshot, Volume = server.Volumes[2], Fault = VolumeFault.Fail, Kind = ErrorKind.BackendRefused, Message = "the pool is read-only",
        });

        var image = await running.Tenant.CreateImageAsync(server.Id, "doomed", Ct);
        var run = await running.Tenant.WaitForEndAsync(image, RunDeadline, Ct);

        await running.NoFaultsAsync();
        Assert.Equal("failed", run.Status);
        Assert.Contains("the pool is read-only", run.Reason?.Message, StringComparison.Ordinal);
        Assert.Equal(["frozen", "thawed"], await server.ReadJournalAsync(Ct));
        Assert.Null(await running.Tenant.ImageStatusAsync(image, Ct));
        Assert.Equal(before, await running.HoldingsAsync());
        Assert.Null(await running.TaskStateAsync(server));
    }

    [Fact]
    public async Task An_answer_lost_after_the_cut_does_not_make_a_second_snapshot()
    {
        await using var server = await running.ServerAsync();
        await running.Stack.InjectAsync(Ct, new FaultRule { Operation = VolumeOperation.CreateSnapshot, Volume = server.Volumes[0], Fault = VolumeFault.LoseAnswer, Times = 1 });

        var image = await running.Tenant.CreateImageAsync(server.Id, "once", Ct);
        var run = await running.Tenant.WaitForEndAsync(image, RunDeadline, Ct);

        await running.NoFaultsAsync();
        Assert.Equal("completed", run.Status);
        Assert.Equal(3, (await running.Stack.Storage.SnapshotsAsync(Ct)).Count(s => server.Volumes.Contains(s.Volume)));
    }

    private Task<ApiAnswer> ActAsync(GuestServer server, string microversion) => running.Tenant.SendAsync(
        HttpMethod.Post, $"/compute/v2.1/servers/{server.Id}/action", JsonContent.Create(new { createImage = new { name = "v" } }), Ct,
        ("OpenStack-API-Version", $"compute {microversion}"));

    private async Task<string> StartAsync(GuestServer server, string key) => (await running.Tenant.SendAsync(
        HttpMethod.Post, "/runs", JsonContent.Create(new { server_id = server.Id.ToString(), name = "keyed" }), Ct, ("Idempotency-Key", key)))
        .Expect(HttpStatusCode.Accepted).Body.GetProperty("image_id").GetString()!;
}
