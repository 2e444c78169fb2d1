using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers;

/// <summary>From configuration to a driver.</summary>
public sealed class VolumeDriversTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("file", "/srv/x")]
    [InlineData("memory", null)]
    public void Every_kind_that_is_listed_can_be_made(string kind, string? root)
    {
        var driver = VolumeDrivers.Create(new() { Name = "host1@a", Driver = kind, Root = root }, TimeProvider.System);
        Assert.Equal(kind, driver.Capabilities.Backend);
        Assert.Contains(kind, VolumeDrivers.Kinds);
    }

    [Fact]
    public void An_rbd_back_end_has_keys_of_its_own()
    {
        var options = new VolumeBackendOptions { Name = "host1@rbd", Driver = "rbd", Rbd = new() { Pool = "volumes", User = "client.cinder", Conf = "ceph.conf", OperationTimeout = TimeSpan.Zero } };
        Assert.Equal(["B:Rbd:Conf", "B:Rbd:OperationTimeout", "B:Rbd:User"], options.Validate("B").Select(w => w[..w.IndexOf(": ", StringComparison.Ordinal)]).Order());
        Assert.StartsWith("B:Rbd: ", Assert.Single(new VolumeBackendOptions { Name = "a@b", Driver = "memory", Rbd = new() }.Validate("B")), StringComparison.Ordinal);
        Assert.StartsWith("B:Rbd:Pool: ", Assert.Single(new VolumeBackendOptions { Name = "a@b", Driver = "rbd" }.Validate("B")), StringComparison.Ordinal);
        Assert.Equal("rbd", VolumeDrivers.Create(new() { Name = "a@b", Driver = "rbd", Rbd = new() { Pool = "volumes" } }, TimeProvider.System).Capabilities.Backend);
    }

    [Fact]
    public async Task Abilities_of_a_driver_are_reached_through_the_layers_and_keep_their_limits_and_faults()
    {
        var faults = Path.Join(Path.GetTempPath(), $"snapshotflow-faults-{Guid.NewGuid():N}.json");
        var driver = VolumeDrivers.Create(new() { Name = "host1@m", Driver = "memory", FaultFile = faults }, TimeProvider.System);
        Assert.Null(driver.Reverting);
        Assert.Null(driver.Flattening);
        var volume = VolumeId.New();
        await driver.CreateVolumeAsync(volume, 4096, Ct);
        await System.IO.File.WriteAllTextAsync(faults, FaultRule.Write([new() { Operation = VolumeOperation.CreateGroupSnapshot, Fault = VolumeFault.LoseAnswer }]), Ct);
        var member = new GroupMember(volume, SnapshotId.New());
        await Assert.ThrowsAsync<SnapshotFlowException>(() => driver.Groups!.CreateGroupSnapshotAsync([member], Ct));
        Assert.NotNull(await driver.FindSnapshotAsync(volume, member.Snapshot, Ct));
        System.IO.File.Delete(faults);
        Assert.Single(await driver.Groups!.CreateGroupSnapshotAsync([member], Ct));
    }

    [Theory]
    [InlineData("", "memory", null, 8, null, "B:Name: ")]
    [InlineData("a b", "memory", null, 8, null, "B:Name: ")]
    [InlineData("a/b", "memory", null, 8, null, "B:Name: ")]
    [InlineData("a@b", "", null, 8, null, "B:Driver: ")]
    [InlineData("a@b", "rdb", null, 8, null, "B:Driver: ")]
    [InlineData("a@b", "file", null, 8, null, "B:Root: ")]
    [InlineData("a@b", "file", "relative", 8, null, "B:Root: ")]
    [InlineData("a@b", "memory", "/srv", 8, null, "B:Root: ")]
    [InlineData("a@b", "memory", null, 0, null, "B:Concurrency: ")]
    [InlineData("a@b", "memory", null, 257, null, "B:Concurrency: ")]
    [InlineData("a@b", "memory", null, 8, "faults.json", "B:FaultFile: ")]
    public void A_wrong_key_is_named(string name, string driver, string? root, int concurrency, string? faults, string begins)
    {
        var options = new VolumeBackendOptions { Name = name, Driver = driver, Root = root, Concurrency = concurrency, FaultFile = faults };
        Assert.StartsWith(begins, Assert.Single(options.Validate("B")), StringComparison.Ordinal);
        var refusal = Assert.Throws<SnapshotFlowException>(() => VolumeDrivers.Create(options, TimeProvider.System, "B"));
        Assert.Equal(ErrorKind.InvalidRequest, refusal.Kind);
        Assert.StartsWith(begins, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void All_wrong_keys_are_named_at_once() =>
        Assert.Equal(3, new VolumeBackendOptions { Concurrency = -1 }.Validate("B").Count);

    [Fact]
    public async Task A_configured_fault_reaches_the_driver_while_it_runs()
    {
        var faults = Path.Join(Path.GetTempPath(), $"snapshotflow-faults-{Guid.NewGuid():N}.json");
        var driver = VolumeDrivers.Create(new() { Name = "host1@m", Driver = "memory", FaultFile = faults }, TimeProvider.System);
        await driver.CheckAsync(Ct);
        await System.IO.File.WriteAllTextAsync(faults, FaultRule.Write([new() { Fault = VolumeFault.Fail }]), Ct);
        await Assert.ThrowsAsync<SnapshotFlowException>(() => driver.CheckAsync(Ct));
        System.IO.File.Delete(faults);
        await driver.CheckAsync(Ct);
    }
}
