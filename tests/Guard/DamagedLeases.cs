using System.Diagnostics;
using SnapshotFlow.Drivers.Leases;
using SnapshotFlow.Model;
using SnapshotFlow.Tests.Guard.Processes;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Guard;

/// <summary>Lease files that were cut off, overwritten or removed, and a disk that is full.</summary>
public sealed class DamagedLeases : IAsyncDisposable
{
    private static readonly TimeSpan LongDeadline = TimeSpan.FromSeconds(60);
    private readonly TestHost host = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_lease_that_is_cut_off_counts_as_expired_and_its_guest_can_be_frozen_again()
    {
        await host.LiveGuardAsync(Ct);
        var guest = await host.GuestAsync(Ct);
        await host.QuiesceAsync(guest, LongDeadline);
        var path = OpenPath(guest.Server);
        var whole = await File.ReadAllTextAsync(path, Ct);
        await File.WriteAllTextAsync(path, whole[..whole.IndexOf("RequestedAt", StringComparison.Ordinal)], Ct);
        var damaged = host.Clock.Now;

        await guest.ThawedAsync(Ct);
        Assert.True(guest.Freezes[0].Until <= damaged.Plus(FreezeGuard.Promise).Milliseconds);
        await Eventually.IsAsync("the file is set aside", () => !File.Exists(path) && Directory.GetFiles(Path.Combine(host.LeaseDirectory, "unreadable")).Length == 1, Ct);
        Assert.Equal((false, false), Facts(await host.UnquiesceAsync(guest)));
        await host.QuiesceAsync(guest, LongDeadline, "next");
    }

    [Fact]
    public async Task A_file_that_names_no_agent_is_counted_and_keeps_only_its_own_server_from_a_freeze()
    {
        var guard = await host.LiveGuardAsync(Ct);
        var (broken, other) = (await host.GuestAsync(Ct), await host.GuestAsync(Ct));
        await File.WriteAllTextAsync(OpenPath(broken.Server), "\0\0\0", Ct);
        await Eventually.IsAsync("the guard counts the file", () => GuardHeartbeat.Read(host.Leases) is { Unreadable: 1 }, Ct);
        await guard.LineAsync($"      Server {broken.Server}, run (null): the freeze is past its deadline and not over", 1, Ct);
        var refusal = await Assert.ThrowsAsync<ApplicationFailureException>(() => host.QuiesceAsync(broken, LongDeadline));
        Assert.Equal(nameof(ErrorKind.StaleStatus), refusal.ErrorType);
        Assert.Contains("is no freeze lease", refusal.Message, StringComparison.Ordinal);
        Assert.Equal((false, true), Facts(await host.UnquiesceAsync(broken)));

        await host.QuiesceAsync(other, TimeSpan.FromSeconds(1));
        var deadline = host.Open(other).Deadline;
        await other.ThawedAsync(Ct);
        TestHost.AssertThawedInTime(other, deadline);
    }

    [Fact]
    public async Task A_lease_that_somebody_removed_is_kept_all_the_same()
    {
        await host.LiveGuardAsync(Ct);
        var guest = await host.GuestAsync(Ct);
        await host.QuiesceAsync(guest, TimeSpan.FromSeconds(2));
        var deadline = host.Open(guest).Deadline;
        await Eventually.IsAsync("the guard has seen the lease", () => GuardHeartbeat.Read(host.Leases) is { Open: 1 }, Ct);
        File.Delete(OpenPath(guest.Server));

        await guest.ThawedAsync(Ct);
        TestHost.AssertThawedInTime(guest, deadline);
    }

    [Fact]
    public async Task An_end_that_was_written_but_not_moved_counts()
    {
        await host.LiveGuardAsync(Ct);
        var guest = await host.GuestAsync(Ct);
        await host.QuiesceAsync(guest, LongDeadline);
        var thawed = await host.UnquiesceAsync(guest);
        File.Move(Path.Combine(host.LeaseDirectory, "ended", $"{guest.Server}.json"), OpenPath(guest.Server));
        Assert.Equal(thawed, await host.UnquiesceAsync(guest));
        await host.QuiesceAsync(guest, LongDeadline, "next");
        Assert.Equal(2, guest.Freezes.Count);
    }

    [Fact]
    public async Task A_full_disk_keeps_no_guest_frozen_and_the_lease_ends_when_there_is_room()
    {
        await MountedAsync(async () =>
        {
            await host.LiveGuardAsync(Ct);
            var guest = await host.GuestAsync(Ct);
            await host.QuiesceAsync(guest, TimeSpan.FromSeconds(1));
            var deadline = host.Open(guest).Deadline;
            var filler = Fill();

            await guest.ThawedAsync(Ct);
            TestHost.AssertThawedInTime(guest, deadline);
            await Eventually.PassedAsync(deadline.Plus(2 * FreezeGuard.Promise), host.Clock, Ct);
            Assert.Null(host.Open(guest).End);
            Assert.Null(GuardHeartbeat.Doubt(host.Leases, host.Clock));
            Assert.Equal(nameof(ErrorKind.QuiesceFailed), (await Assert.ThrowsAsync<ApplicationFailureException>(async () =>
                await host.QuiesceAsync(await host.GuestAsync(Ct), LongDeadline))).ErrorType);

            File.Delete(filler);
            Assert.True((await host.EndedAsync(guest.Server, Ct)).End!.Expired);
        });
    }

    [Fact]
    public async Task A_thaw_on_a_full_disk_tells_the_truth_and_the_guard_ends_the_lease_later()
    {
        await MountedAsync(async () =>
        {
            await host.LiveGuardAsync(Ct);
            var guest = await host.GuestAsync(Ct);
            await host.QuiesceAsync(guest, TimeSpan.FromSeconds(3));
            var filler = Fill();
            var thawed = await host.UnquiesceAsync(guest);
            Assert.Equal((true, false), Facts(thawed));
            File.Delete(filler);
            await host.EndedAsync(guest.Server, Ct);
            Assert.Single(guest.Freezes);
        });
    }

    public ValueTask DisposeAsync() => host.DisposeAsync();

    private static (bool WasFrozen, bool LeaseExpired) Facts(SnapshotFlow.Workflows.Contracts.UnquiesceResult result) => (result.WasFrozen, result.LeaseExpired);

    private string OpenPath(ServerId server) => Path.Combine(host.LeaseDirectory, "open", $"{server}.json");

    /// <summary>Puts a small file system of its own over the lease directory; needs root.</summary>
    private async Task MountedAsync(Func<Task> test)
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "mounting a file system needs root");
        await RunAsync("mount", "-t", "tmpfs", "-o", "size=128k,mode=700", "tmpfs", host.LeaseDirectory);
        try
        {
            _ = new FreezeLeaseDirectory(host.LeaseDirectory);
            await test();
        }
        finally
        {
            await RunAsync("umount", "--lazy", host.LeaseDirectory);
        }
    }

    private string Fill()
    {
        var path = Path.Combine(host.LeaseDirectory, "filler");
        using var file = File.Create(path, bufferSize: 1);
        try
        {
            while (true)
            {
                file.Write(new byte[4096]);
            }
        }
        catch (IOException)
        {
            return path;
        }
    }

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        await process.WaitForExitAsync(CancellationToken.None);
        Assert.SkipUnless(process.ExitCode == 0, $"{program} is not permitted here");
    }
}
