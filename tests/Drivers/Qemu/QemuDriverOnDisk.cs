using System.Diagnostics;
using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Qemu;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers.Qemu;

/// <summary>What only QEMU can do, and do wrong.</summary>
public sealed class QemuDriverOnDisk : IAsyncLifetime
{
    private const long Size = 4 << 20;

    private readonly QemuStore store = new();
    private readonly VolumeId volume = VolumeId.New();
    private readonly SnapshotId snapshot = SnapshotId.New();
    private QemuVolumeDriver driver = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await store.StartAsync(Ct);
        driver = store.Open();
        await driver.CheckAsync(Ct);
        await driver.CreateVolumeAsync(volume, Size, Ct);
    }

    public ValueTask DisposeAsync() => store.DisposeAsync();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_snapshot_inside_a_volume_without_its_record_is_the_rest_of_a_broken_off_attempt_and_is_cut_anew(bool running)
    {
        Run("snapshot", "-c", Names.Snapshot(snapshot), store.Volume(volume));
        if (running)
        {
            store.Guest.Attach(volume);
        }

        Assert.Null(await driver.FindSnapshotAsync(volume, snapshot, Ct));
        await driver.CreateSnapshotAsync(volume, snapshot, null, Ct);
        Assert.Equal([Names.Snapshot(snapshot)], await InsideAsync(volume));
        await driver.DeleteSnapshotAsync(volume, snapshot, Ct);
        Assert.Empty(await InsideAsync(volume));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Deleting_removes_what_a_broken_off_attempt_left_inside_the_volume(bool running)
    {
        Run("snapshot", "-c", Names.Snapshot(snapshot), store.Volume(volume));
        if (running)
        {
            store.Guest.Attach(volume);
        }

        await driver.DeleteSnapshotAsync(volume, snapshot, Ct);
        Assert.Empty(await InsideAsync(volume));
    }

    [Fact]
    public async Task A_group_cut_whose_worker_died_between_the_records_is_finished_with_its_one_instant()
    {
        var members = new[] { new GroupMember(volume, snapshot), new GroupMember(VolumeId.New(), SnapshotId.New()) };
        await driver.CreateVolumeAsync(members[1].Volume, Size, Ct);
        var first = await driver.CreateGroupSnapshotAsync(members, Ct);
        System.IO.File.Delete(Path.Join(store.Root, "snapshots", Names.Snapshot(members[1].Snapshot) + ".json"));
        Assert.Null(await driver.FindSnapshotAsync(members[1].Volume, members[1].Snapshot, Ct));
        Assert.Equal(first, await driver.CreateGroupSnapshotAsync(members, Ct));
    }

    [Fact]
    public async Task A_guest_that_does_not_answer_fails_the_cut_in_time_and_the_next_attempt_succeeds()
    {
        store.Guest.Attach(volume);
        store.Guest.Stop(true);
        var since = Stopwatch.StartNew();
        var refusal = await Assert.ThrowsAsync<SnapshotFlowException>(() => store.Open(TimeSpan.FromSeconds(1)).CreateSnapshotAsync(volume, snapshot, null, Ct));
        // Passed over as no answer, and kept off by the lock of the QEMU that does not answer.
        Assert.Equal(ErrorKind.Busy, refusal.Kind);
        Assert.InRange(since.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(60));
        store.Guest.Stop(false);
        Assert.Equal(volume, (await driver.CreateSnapshotAsync(volume, snapshot, null, Ct)).Volume);
    }

    [Fact]
    public async Task A_volume_that_a_guest_has_open_and_one_that_none_has_are_cut_together()
    {
        var other = VolumeId.New();
        await driver.CreateVolumeAsync(other, Size, Ct);
        store.Guest.Write(volume, 0, "live"u8);
        var cut = await driver.CreateGroupSnapshotAsync([new(volume, snapshot), new(other, SnapshotId.New())], Ct);
        Assert.Equal(2, cut.Count);
        Assert.Single(await InsideAsync(volume));
        Assert.Single(await InsideAsync(other));
    }

    [Fact]
    public async Task Hundred_snapshots_of_a_volume_that_is_written_to_make_no_chain()
    {
        store.Guest.Attach(volume);
        for (var i = 0; i < 100; i++)
        {
            await driver.CreateSnapshotAsync(volume, SnapshotId.New(), null, Ct);
        }

        Assert.Equal(100, (await InsideAsync(volume)).Count);
        Assert.DoesNotContain("backing", Run("info", "-U", store.Volume(volume)), StringComparison.Ordinal);
        foreach (var listed in (await driver.ListSnapshotsAsync(null, 1000, Ct)).Snapshots)
        {
            await driver.DeleteSnapshotAsync(volume, listed.Snapshot, Ct);
        }

        Assert.Empty(await InsideAsync(volume));
    }

    [Fact]
    public async Task A_volume_is_reverted_when_no_guest_has_it_open_and_refused_otherwise()
    {
        await driver.CreateSnapshotAsync(volume, snapshot, null, Ct);
        await driver.RevertToSnapshotAsync(volume, snapshot, null, Ct);
        store.Guest.Attach(volume);
        var refusal = await Assert.ThrowsAsync<SnapshotFlowException>(() => driver.RevertToSnapshotAsync(volume, snapshot, null, Ct));
        Assert.Equal(ErrorKind.Busy, refusal.Kind);
    }

    [Fact]
    public async Task A_raw_file_is_refused_with_what_to_do()
    {
        var raw = VolumeId.New();
        using (var file = System.IO.File.Create(store.Volume(raw)))
        {
            file.SetLength(Size);
        }

        var refusal = await Assert.ThrowsAsync<SnapshotFlowException>(() => driver.CreateSnapshotAsync(raw, snapshot, null, Ct));
        Assert.Equal(ErrorKind.BackendRefused, refusal.Kind);
        Assert.Contains("qemu-img convert -O qcow2", refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nowhere", "Root: ")]
    [InlineData(null, "Qemu:QmpDirectory: ")]
    public async Task A_missing_directory_is_named_with_its_key(string? root, string key)
    {
        var wrong = new QemuVolumeDriver(root is null ? store.Root : Path.Join(store.Root, root), new() { QmpDirectory = Path.Join(store.Root, "no-sockets") }, TimeProvider.System, "B");
        var refusal = await Assert.ThrowsAsync<SnapshotFlowException>(() => wrong.CheckAsync(Ct));
        Assert.Equal(ErrorKind.InvalidRequest, refusal.Kind);
        Assert.StartsWith($"B:{key}", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_qemu_img_is_named_with_its_package()
    {
        var wrong = new QemuVolumeDriver(store.Root, new() { QmpDirectory = store.Root, QemuImg = "/nowhere/qemu-img" }, TimeProvider.System, "B");
        var refusal = await Assert.ThrowsAsync<SnapshotFlowException>(() => wrong.CheckAsync(Ct));
        Assert.Equal(ErrorKind.InvalidRequest, refusal.Kind);
        Assert.Contains("apt-get install qemu-utils", refusal.Message, StringComparison.Ordinal);
    }

    private async Task<IReadOnlyList<string>> InsideAsync(VolumeId id) => (await new QemuImg(new(), "B", TimeProvider.System).InfoAsync(store.Volume(id), Ct)).Snapshots;

    private static string Run(params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("qemu-img", arguments) { RedirectStandardOutput = true })!;
        var said = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        return said;
    }
}
