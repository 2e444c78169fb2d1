using Microsoft.Extensions.Logging.Abstractions;
using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Leases;
using SnapshotFlow.Drivers.Memory;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Guard;

/// <summary>What decides about a deadline: never the wall clock.</summary>
public sealed class KeepingTime : IDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMilliseconds(400);
    private readonly string directory = Directory.CreateTempSubdirectory("sfguard-").FullName;
    private readonly SettableClock clock = new();
    private readonly InMemoryGuestAgent guest = new(TimeProvider.System);
    private readonly ServerId server = ServerId.New();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(-365)]
    [InlineData(365)]
    public async Task A_wall_clock_that_is_set_changes_no_deadline(int days)
    {
        var leases = new FreezeLeaseDirectory(directory);
        await guest.FreezeAsync(Ct);
        var lease = await leases.UpdateAsync(server, (_, _) => Lease(clock.Now.Plus(Deadline)), Ct);
        clock.UtcNow += TimeSpan.FromDays(days);

        var thawedAt = await GuardUntilThawedAsync(leases);
        Assert.InRange(thawedAt.Milliseconds - lease!.Deadline.Milliseconds, 0, (long)FreezeGuard.Promise.TotalMilliseconds);
    }

    [Fact]
    public async Task A_lease_from_before_the_host_was_restarted_has_expired()
    {
        var leases = new FreezeLeaseDirectory(directory);
        await guest.FreezeAsync(Ct);
        await leases.UpdateAsync(server, (_, _) => Lease(new HostInstant("an earlier boot", clock.Now.Milliseconds + 3_600_000)), Ct);
        var before = clock.Now;
        var thawedAt = await GuardUntilThawedAsync(leases);
        Assert.InRange(thawedAt.Milliseconds - before.Milliseconds, 0, (long)FreezeGuard.Promise.TotalMilliseconds);
    }

    [Fact]
    public void A_sign_of_life_of_an_earlier_boot_or_of_the_future_is_none()
    {
        var leases = new FreezeLeaseDirectory(directory);
        using var heartbeat = GuardHeartbeat.TryTake(leases)!;
        var beat = clock.Now;
        string? DoubtAt(HostInstant now) => GuardHeartbeat.Doubt(leases, new SettableClock { Set = now });
        Assert.NotNull(DoubtAt(beat));
        heartbeat.Beat(new(beat, ProcessIdentity.Current, 0, 0, 0));
        Assert.Null(DoubtAt(beat));
        Assert.Null(DoubtAt(beat.Plus(GuardHeartbeat.FreshFor)));
        Assert.NotNull(DoubtAt(beat.Plus(GuardHeartbeat.FreshFor + TimeSpan.FromMilliseconds(1))));
        Assert.NotNull(DoubtAt(beat.Plus(TimeSpan.FromMilliseconds(-1))));
        Assert.NotNull(DoubtAt(beat with { Boot = "another" }));
        Assert.Null(GuardHeartbeat.TryTake(leases));
    }

    [Fact]
    public async Task The_first_end_of_a_lease_is_the_one_that_counts()
    {
        var (mine, others) = (new FreezeLeaseDirectory(directory), new FreezeLeaseDirectory(directory));
        await mine.UpdateAsync(server, (_, _) => Lease(clock.Now.Plus(Deadline)), Ct);
        FreezeLeaseEnd End(LeaseEnder by) => new(by, clock.UtcNow, WasFrozen: true, Expired: by is LeaseEnder.Guard, AgentError: null);

        var ends = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => i % 2 == 0
            ? mine.EndAsync(server, "run", End(LeaseEnder.Run), Ct)
            : others.EndAsync(server, "run", End(LeaseEnder.Guard), Ct)));
        Assert.Single(ends.Select(e => e!.End).Distinct());
        Assert.Equal(ends[0], mine.ReadEnded(server));
        Assert.Null(mine.ReadOpen(server));
        Assert.Null(await mine.EndAsync(server, "another run", End(LeaseEnder.Run), Ct));
    }

    public void Dispose() => Directory.Delete(directory, recursive: true);

    private FreezeLease Lease(HostInstant deadline) => new(
        server, "run", "in memory", clock.UtcNow, clock.UtcNow + Deadline, deadline, ProcessIdentity.Current, FreezePending: false, clock.UtcNow, End: null);

    private async Task<HostInstant> GuardUntilThawedAsync(FreezeLeaseDirectory leases)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var guard = new FreezeGuard(leases, new OneGuest(guest), clock, TimeProvider.System, GuardDuty.Guard, NullLogger<FreezeGuard>.Instance);
        var running = guard.RunAsync(() => { }, Task.CompletedTask, stop.Token);
        await guest.WriteAsync(() => Task.CompletedTask, Ct);
        var thawedAt = clock.Now;
        await stop.CancelAsync();
        await running;
        Assert.NotNull(leases.ReadEnded(server));
        return thawedAt;
    }

    private sealed class OneGuest(IGuestAgent agent) : IGuestAgents
    {
        public IGuestAgent Open(string? address) => agent;
    }

    /// <summary>This host's clock, with a wall clock that a test sets, and a moment that it may hold.</summary>
    private sealed class SettableClock : IHostClock
    {
        private readonly LinuxHostClock real = new(TimeProvider.System);

        public HostInstant? Set { get; init; }

        public HostInstant Now => Set ?? real.Now;

        public DateTimeOffset UtcNow { get; set; } = TimeProvider.System.GetUtcNow();
    }
}
