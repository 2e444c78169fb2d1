using System.Diagnostics;
using SnapshotFlow.Drivers.Rbd;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers.Rbd;

/// <summary>What an operator reads when the cluster cannot be reached.</summary>
public sealed class ReachingACluster
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_missing_configuration_file_is_named_with_its_key()
    {
        var refusal = await RefusedAsync(ErrorKind.InvalidRequest, new() { Pool = "volumes", Conf = "/nowhere/ceph.conf" });
        Assert.Contains("Volume:Backends:0:Rbd:Conf: /nowhere/ceph.conf", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_keyring_is_named_with_its_key_and_how_to_make_one()
    {
        Assert.SkipWhen(CephCluster.Missing is not null, CephCluster.Missing ?? "");
        var options = CephCluster.Options();
        options.Keyring = "/nowhere/keyring";
        var refusal = await RefusedAsync(ErrorKind.InvalidRequest, options);
        Assert.Contains("Rbd:Keyring: /nowhere/keyring", refusal.Message, StringComparison.Ordinal);
        Assert.Contains($"ceph auth get-or-create client.{options.User}", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_user_without_a_key_is_refused_with_how_to_make_one()
    {
        Assert.SkipWhen(CephCluster.Missing is not null, CephCluster.Missing ?? "");
        var options = CephCluster.Options();
        options.User = "nobody";
        var refusal = await RefusedAsync(ErrorKind.InvalidRequest, options);
        Assert.Contains("ceph auth get-or-create client.nobody", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_pool_is_named_with_its_key_and_how_to_make_it()
    {
        Assert.SkipWhen(CephCluster.Missing is not null, CephCluster.Missing ?? "");
        var options = CephCluster.Options();
        options.Pool = "nopool";
        var refusal = await RefusedAsync(ErrorKind.InvalidRequest, options);
        Assert.Contains("Rbd:Pool: ", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("ceph osd pool create nopool", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_namespace_is_named_with_its_key_and_how_to_make_it()
    {
        Assert.SkipWhen(CephCluster.Missing is not null, CephCluster.Missing ?? "");
        var refusal = await RefusedAsync(ErrorKind.InvalidRequest, CephCluster.Options("nospace"));
        Assert.Contains("Rbd:Namespace: ", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("rbd namespace create", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Monitors_that_do_not_answer_hold_nobody_longer_than_the_time_limit()
    {
        Assert.SkipWhen(CephCluster.Missing is not null, CephCluster.Missing ?? "");
        var conf = Path.Join(Path.GetTempPath(), $"snapshotflow-ceph-{Guid.NewGuid():N}.conf");
        // Port 1 of the loopback: nobody listens there.
        await System.IO.File.WriteAllTextAsync(conf, $"[global]\nfsid = {Guid.NewGuid()}\nmon host = [v2:127.0.0.1:1/0]\nkeyring = {conf}.keyring\n[client]\nadmin socket =\nlog file =\n", Ct);
        await System.IO.File.WriteAllTextAsync($"{conf}.keyring", "[client.cinder]\nkey = AQBZQBBmAAAAABAAq9v6mYtXQ7w1V0dQb3sZxg==\n", Ct);
        try
        {
            using var driver = new RbdVolumeDriver(new() { Pool = "volumes", Conf = conf, ConnectTimeout = TimeSpan.FromSeconds(1) }, TimeProvider.System);
            var since = Stopwatch.StartNew();
            var failures = await Task.WhenAll(Enumerable.Range(0, 4).Select(async _ => await Assert.ThrowsAsync<SnapshotFlowException>(() => driver.CheckAsync(Ct))));
            Assert.All(failures, f => Assert.Equal(ErrorKind.BackendUnavailable, f.Kind));
            // A hang would be for ever; a slow machine is not.
            Assert.InRange(since.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(60));
        }
        finally
        {
            System.IO.File.Delete(conf);
            System.IO.File.Delete($"{conf}.keyring");
        }
    }

    [Theory]
    [InlineData(1, ErrorKind.BackendRefused, "profile rbd")]
    [InlineData(13, ErrorKind.BackendRefused, "profile rbd")]
    [InlineData(2, ErrorKind.BackendUnavailable, "removed meanwhile")]
    [InlineData(5, ErrorKind.BackendRefused, "damaged")]
    [InlineData(12, ErrorKind.BackendUnavailable, "memory")]
    [InlineData(16, ErrorKind.Busy, "rbd status")]
    [InlineData(22, ErrorKind.BackendRefused, "feature")]
    [InlineData(24, ErrorKind.BackendUnavailable, "open files")]
    [InlineData(27, ErrorKind.InvalidRequest, "larger")]
    [InlineData(28, ErrorKind.BackendRefused, "full")]
    [InlineData(30, ErrorKind.BackendRefused, "lock")]
    [InlineData(31, ErrorKind.Busy, "group")]
    [InlineData(39, ErrorKind.Busy, "snapshots")]
    [InlineData(95, ErrorKind.BackendRefused, "features")]
    [InlineData(107, ErrorKind.BackendUnavailable, "monitor")]
    [InlineData(108, ErrorKind.BackendUnavailable, "blocklist")]
    [InlineData(110, ErrorKind.BackendUnavailable, "in time")]
    [InlineData(122, ErrorKind.BackendRefused, "quota")]
    [InlineData(71, ErrorKind.BackendRefused, "health")]
    public void Each_error_number_has_a_kind_the_call_and_advice(int errno, ErrorKind kind, string advice)
    {
        var refusal = RbdErrors.Translate("cut snapshot 7", new RbdException(errno, "rbd_snap_create", "volume-1"), new() { Pool = "volumes" });
        Assert.Equal(kind, refusal.Kind);
        Assert.Matches($"^cut snapshot 7: rbd_snap_create of volume-1: .+ \\(errno {errno}\\); .*{advice}", refusal.Message);
    }

    [Fact]
    public void A_host_without_the_libraries_is_told_which_packages_to_install()
    {
        var refusal = RbdErrors.Translate("check", new DllNotFoundException("librbd.so.1"), new());
        Assert.Equal(ErrorKind.InvalidRequest, refusal.Kind);
        Assert.Contains("apt-get install librados2 librbd1", refusal.Message, StringComparison.Ordinal);
    }

    private static async Task<SnapshotFlowException> RefusedAsync(ErrorKind kind, RbdOptions options)
    {
        using var driver = new RbdVolumeDriver(options, TimeProvider.System, "Volume:Backends:0:Rbd");
        var refusal = await Assert.ThrowsAsync<SnapshotFlowException>(() => driver.CheckAsync(Ct));
        Assert.True(kind == refusal.Kind, $"expected {kind}, got {refusal.Kind}: {refusal.Message}");
        return refusal;
    }
}
