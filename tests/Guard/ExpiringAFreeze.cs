using System.Text.Json;
using SnapshotFlow.Drivers.Leases;
using SnapshotFlow.Model;
using SnapshotFlow.Tests.Guard.Processes;
using Temporalio.Testing;

namespace SnapshotFlow.Tests.Guard;

/// <summary>The guard as a process, guests as processes, and a run that does not come back in time.</summary>
public sealed class ExpiringAFreeze : IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(1);
    private readonly TestHost host = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Guest_is_thawed_within_250_ms_of_its_deadline()
    {
        await host.LiveGuardAsync(Ct);
        var guest = await host.GuestAsync(Ct);
        await host.QuiesceAsync(guest, Deadline);
        var lease = host.Open(guest);

        await guest.ThawedAsync(Ct);
        TestHost.AssertThawedInTime(guest, lease.Deadline);
    }

    [Fact]
    public async Task Guests_that_expire_at_once_are_all_thawed_in_time()
    {
        await host.LiveGuardAsync(Ct);
        var guests = Enumerable.Range(0, 20).Select(_ => new ScriptedGuest(host.Directory, host.Clock)).ToList();
        await Task.WhenAll(guests.Select(g => host.QuiesceAsync(g.Server, g.Address, TimeSpan.FromSeconds(5))));
        var deadlines = guests.Select(g => host.Leases.ReadOpen(g.Server)!.Deadline).ToList();

        await Task.WhenAll(guests.Select(g => host.EndedAsync(g.Server, Ct)));
        Assert.All(
            guests.Zip(deadlines, (g, d) => g.ThawedAt!.Value.Milliseconds - d.Milliseconds),
            late => Assert.InRange(late, 0, (long)FreezeGuard.Promise.TotalMilliseconds));
        foreach (var guest in guests)
        {
            await guest.DisposeAsync();
        }
    }

    [Fact]
    public async Task The_run_learns_that_its_freeze_expired_and_hears_the_same_when_it_asks_again()
    {
        await host.LiveGuardAsync(Ct);
        var guest = await host.GuestAsync(Ct);
        var frozen = await host.QuiesceAsync(guest, Deadline);
        var ended = await host.EndedAsync(guest.Server, Ct);
        Assert.Equal((LeaseEnder.Guard, true, true), (ended.End!.By, ended.End.WasFrozen, ended.End.Expired));

        var first = await host.UnquiesceAsync(guest);
        Assert.True(first.LeaseExpired);
        Assert.Equal(frozen.FrozenAt, first.FrozenAt);
        Assert.Equal(ended.End.ThawedAt, first.ThawedAt);
        Assert.Equal(first, await host.UnquiesceAsync(guest));
        Assert.Single(guest.Freezes);
    }

    [Fact]
    public async Task What_the_guard_says_of_an_expired_freeze_leads_to_its_request_and_its_run()
    {
        var guard = await host.LiveGuardAsync(Ct, lines: "json-lines");
        var guest = await host.GuestAsync(Ct);
        var image = ImageId.New();
        var request = $"req-{Guid.NewGuid()}";
        await host.QuiesceAsync(guest, Deadline, image.ToString(), request);
        await host.EndedAsync(guest.Server, Ct, image.ToString());

        JsonElement said = default;
        await Eventually.IsAsync("the guard says that it has thawed the guest", () => Ended(guard.Output) is { } line && (said = line).ValueKind is JsonValueKind.Object, Ct);

        Assert.Equal(
            (request, Names.CreateImageWorkflow(image), guest.Server.ToString(), "warning", true),
            (Text(said, "request_id"), Text(said, "workflow_id"), Text(said, "server_id"), Text(said, "level"), said.GetProperty("was_frozen").GetBoolean()));
        Assert.Equal(("their-own", "project"), (Text(said, "global_request_id"), Text(said, "project_id")));
        Assert.Equal(ActivityEnvironment.DefaultInfo.WorkflowRunId, Text(said, "run_id"));
        Assert.True(said.TryGetProperty("host", out _) && said.TryGetProperty("thawed_at", out _) && said.TryGetProperty("time", out _), said.ToString());
    }

    [Fact]
    public async Task A_guest_that_is_thawed_in_time_is_left_alone()
    {
        await host.LiveGuardAsync(Ct);
        var guest = await host.GuestAsync(Ct);
        await host.QuiesceAsync(guest, Deadline);
        var deadline = host.Open(guest).Deadline;
        var thawed = await host.UnquiesceAsync(guest);
        Assert.Equal((true, false), (thawed.WasFrozen, thawed.LeaseExpired));

        // Somebody else's freeze, which no lease is about.
        await guest.Agent.FreezeAsync(Ct);
        await Eventually.PassedAsync(deadline.Plus(2 * FreezeGuard.Promise), host.Clock, Ct);
        Assert.Null(guest.Freezes[^1].Until);
        Assert.Equal(thawed, await host.UnquiesceAsync(guest));
    }

    [Fact]
    public async Task A_guest_is_frozen_again_by_the_next_run_with_a_deadline_of_its_own()
    {
        await host.LiveGuardAsync(Ct);
        var guest = await host.GuestAsync(Ct);
        await host.QuiesceAsync(guest, TimeSpan.FromSeconds(60), "first");
        await host.UnquiesceAsync(guest, "first");
        await host.QuiesceAsync(guest, Deadline, "second");
        var deadline = host.Open(guest).Deadline;

        await Eventually.IsAsync("the second freeze is over", () => guest.Freezes is [_, { Until: not null }], Ct);
        Assert.InRange(guest.Freezes[1].Until!.Value - deadline.Milliseconds, -TestHost.ClockError, (long)FreezeGuard.Promise.TotalMilliseconds);
        await host.EndedAsync(guest.Server, Ct, "second");
    }

    /// <summary>The line about a freeze whose deadline passed, once it is there.</summary>
    private static JsonElement? Ended(string output) => output.Split('\n').Where(l => l.StartsWith('{')).Select(l => JsonDocument.Parse(l).RootElement)
        .Where(l => l.GetProperty("event").GetInt32() == 112).Select(l => (JsonElement?)l).FirstOrDefault();

    private static string? Text(JsonElement line, string field) => line.GetProperty(field).GetString();

    public ValueTask DisposeAsync() => host.DisposeAsync();
}
