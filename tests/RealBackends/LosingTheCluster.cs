using System.Diagnostics;
using System.Net;
using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Rbd;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;

namespace SnapshotFlow.Tests.RealBackends;

/// <summary>A cluster that hangs or is full: calls end, say why, and what they began is finished later.</summary>
public sealed class LosingTheCluster(RealStack real) : IAsyncLifetime
{
    private const long Size = 8 << 20;

    // Far more than the driver's limits, which are seconds, and far less than for ever.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1), RunDeadline = TimeSpan.FromMinutes(3);

    private readonly VolumeId volume = VolumeId.New();
    private readonly SnapshotId snapshot = SnapshotId.New();
    private RbdVolumeDriver driver = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        RealStack.NeedCeph();
        driver = Open();
        await driver.CheckAsync(Ct);
        await driver.CreateVolumeAsync(volume, Size, Ct);
    }

    public async ValueTask DisposeAsync()
    {
        if (driver is not null)
        {
            using (driver)
            {
                // The lock of a broken-off attempt ends by itself.
                await EventuallyAsync(async () =>
                {
                    await driver.DeleteSnapshotAsync(volume, snapshot, Ct);
                    await driver.DeleteVolumeAsync(volume, Ct);
                    return true;
                });
            }
        }
    }

    [Theory]
    [InlineData("mon")]
    [InlineData("osd")]
    public async Task A_cut_ends_in_time_when_a_daemon_hangs_and_the_next_attempt_makes_the_one_snapshot(string daemon)
    {
        using (CephDaemon.Hang(daemon))
        {
            await UnavailableAsync(() => driver.CreateSnapshotAsync(volume, snapshot, null, Ct));
        }

        var made = await EventuallyAsync(() => driver.CreateSnapshotAsync(volume, snapshot, null, Ct));
        Assert.Equal(made, await driver.FindSnapshotAsync(volume, snapshot, Ct));
        var images = await Tool.RunAsync("rbd", "--conf", RealStack.Ceph.Conf, "--id", RealStack.Ceph.User, "snap", "ls", "--format", "json", $"{RealStack.Ceph.Pool}/{Names.Volume(volume)}");
        Assert.Single(System.Text.Json.JsonDocument.Parse(images).RootElement.EnumerateArray());
    }

    [Fact]
    public async Task Connecting_to_a_monitor_that_hangs_ends_in_time_and_a_later_attempt_connects()
    {
        using var other = Open();
        using (CephDaemon.Hang("mon"))
        {
            await UnavailableAsync(() => other.CheckAsync(Ct));
        }

        await EventuallyAsync(async () =>
        {
            await other.CheckAsync(Ct);
            return true;
        });
    }

    [Fact]
    public async Task A_full_cluster_refuses_with_what_to_do_and_still_deletes()
    {
        var doomed = VolumeId.New();
        await driver.CreateVolumeAsync(doomed, Size, Ct);
        try
        {
            await PretendAsync("full");
            await Wait.UntilAsync("the cluster to call itself full", Patience, async _ => (await AdminAsync("health", "detail")).Contains("OSD_FULL", StringComparison.Ordinal), Ct);
            var refusal = await Assert.ThrowsAsync<SnapshotFlowException>(() => driver.CreateVolumeAsync(VolumeId.New(), Size, Ct));
            Assert.True(refusal.Kind == ErrorKind.BackendRefused, $"{refusal.Kind}: {refusal.Message}");
            Assert.Contains($"pool {RealStack.Ceph.Pool} is full", refusal.Message, StringComparison.Ordinal);
            await driver.DeleteVolumeAsync(doomed, Ct);
            Assert.DoesNotContain($"{doomed}", await Tool.RunAsync("rbd", "--conf", RealStack.Ceph.Conf, "--id", RealStack.Ceph.User, "ls", RealStack.Ceph.Pool), StringComparison.Ordinal);
        }
        finally
        {
            await PretendAsync("none");
        }

        await Wait.UntilAsync("the cluster to have room again", Patience, async _ => !(await AdminAsync("health", "detail")).Contains("OSD_FULL", StringComparison.Ordinal), Ct);
        await EventuallyAsync(() => driver.CreateSnapshotAsync(volume, snapshot, null, Ct));
    }

    [Fact]
    public async Task A_monitor_that_hangs_keeps_no_guest_frozen_and_no_worker_from_its_other_back_ends()
    {
        await real.NeedAsync();
        await using var stuck = await RealGuest.MakeAsync(real, RealBackend.Rbd, dataDisks: 1);
        await using var other = await RealGuest.MakeAsync(real, RealBackend.Qemu, dataDisks: 1);
        string image;
        using (CephDaemon.Hang("mon"))
        {
            image = (await real.Tenant.PostAsync("/runs", new { server_id = stuck.Id.ToString(), name = "stuck", freeze_deadline = 15, on_expiry = "downgrade" }, Ct))
                .Expect(HttpStatusCode.Accepted).Body.GetProperty("image_id").GetString()!;
            await real.Tenant.WaitForRunAsync(image, "after the freeze", r => r.Did("Quiesce"), RunDeadline, Ct);
            await Wait.UntilAsync("the guest to be thawed", RunDeadline, ct => IsThawedAsync(stuck, ct), Ct);

            // Another back end of the same worker, while this one hangs.
            var answer = (await real.Tenant.PostAsync("/runs", new { server_id = other.Id.ToString(), name = "meanwhile", freeze_deadline = 45 }, Ct)).Expect(HttpStatusCode.Accepted);
            var meanwhile = await real.Tenant.WaitForEndAsync(answer.Body.GetProperty("image_id").GetString()!, RunDeadline, Ct);
            Assert.True(meanwhile is { Status: "completed", Evidence.Consistency: "application" }, $"{meanwhile.Status}: {meanwhile.Reason?.Message}");
        }

        var run = await real.Tenant.WaitForEndAsync(image, RunDeadline, Ct);
        Assert.True(run is { Status: "completed", Evidence.Consistency: "crash" }, $"{run.Status}: {run.Reason?.Message}");
    }

    /// <summary>False too while the product talks with the agent, which serves one at a time.</summary>
    private static async Task<bool> IsThawedAsync(RealGuest guest, CancellationToken ct)
    {
        try
        {
            return (await AgentShell.AskAsync(guest.AgentSocket, "guest-fsfreeze-status", ct)).GetString() == "thawed";
        }
        catch (System.Net.Sockets.SocketException)
        {
            return false;
        }
    }

    private static RbdVolumeDriver Open()
    {
        var options = RealStack.Ceph;
        (options.ConnectTimeout, options.OperationTimeout) = (TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(2));
        return new(options, TimeProvider.System);
    }

    private static async Task UnavailableAsync(Func<Task> call)
    {
        var since = Stopwatch.StartNew();
        var failure = await Assert.ThrowsAsync<SnapshotFlowException>(call);
        Assert.True(failure.Kind == ErrorKind.BackendUnavailable, $"{failure.Kind}: {failure.Message}");
        // The promise is an end at all.
        Assert.InRange(since.Elapsed, TimeSpan.Zero, Patience);
    }

    /// <summary>As Temporal would: again while the outcome is unknown or a lock of the broken-off attempt is still held.</summary>
    private static async Task<T> EventuallyAsync<T>(Func<Task<T>> call)
    {
        T? result = default;
        await Wait.UntilAsync("the cluster to answer again", Patience * 2, async _ =>
        {
            try
            {
                result = await call();
                return true;
            }
            catch (SnapshotFlowException e) when (e.Kind is ErrorKind.BackendUnavailable or ErrorKind.Busy)
            {
                return false;
            }
        }, Ct);
        return result!;
    }

    /// <summary>Lets the OSD believe that its disk is in that state.</summary>
    private static Task<string> PretendAsync(string state) => AdminAsync("tell", "osd.0", "injectfull", state);

    /// <summary>As the administrator, whose key only a cluster of the tests' own hands out.</summary>
    private static Task<string> AdminAsync(params string[] command)
    {
        Assert.SkipWhen(string.IsNullOrEmpty(Environment.GetEnvironmentVariable("SNAPSHOTFLOW_TEST_CEPH_HOME")), "only a cluster that ./snapshotflow test --real brought up may be made full");
        return Tool.RunAsync("timeout", ["30", "ceph", "--conf", RealStack.Ceph.Conf, .. command]);
    }
}
