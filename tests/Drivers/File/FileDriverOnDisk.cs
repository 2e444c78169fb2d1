using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.File;
using SnapshotFlow.Model;
using static System.IO.File;

namespace SnapshotFlow.Tests.Drivers.File;

/// <summary>What is on the disk: leftovers of crashes, foreign things, damage, and what the operating system refuses.</summary>
[System.Runtime.Versioning.SupportedOSPlatform("linux")]
public sealed class FileDriverOnDisk : IDisposable
{
    private const int MiB = 1 << 20;
    private readonly string root = Directory.CreateTempSubdirectory("snapshotflow-drivers-").FullName;
    private readonly VolumeId volume = VolumeId.New();
    private readonly SnapshotId snapshot = SnapshotId.New();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(root, recursive: true);

    // ---- leftovers of a crash, at every step of a cut

    [Theory]
    [InlineData(".{0}.partial")]
    [InlineData("{0}")]
    [InlineData("{0}", ".{0}.json.partial")]
    [InlineData("{0}.json")]
    [InlineData(".{0}.partial", ".{0}.json.partial", "{0}")]
    public async Task What_a_crash_left_of_a_cut_is_no_snapshot_and_the_next_attempt_makes_a_whole_one(params string[] left)
    {
        var driver = await PreparedAsync();
        Leave(left);
        Assert.Null(await driver.FindSnapshotAsync(volume, snapshot, Ct));
        Assert.Empty((await driver.ListSnapshotsAsync(null, 10, Ct)).Snapshots);
        var made = await driver.CreateSnapshotAsync(volume, snapshot, null, Ct);
        Assert.Equal("live", System.Text.Encoding.ASCII.GetString(ReadAllBytes(made.Handle), 0, 4));
        Assert.Equal([$"snapshots/{Names.Snapshot(snapshot)}", $"snapshots/{Names.Snapshot(snapshot)}.json", $"volumes/{Names.Volume(volume)}"], FileNames());
    }

    [Theory]
    [InlineData(".{0}.partial")]
    [InlineData("{0}")]
    [InlineData("{0}", ".{0}.json.partial")]
    [InlineData("{0}.json")]
    public async Task What_a_crash_left_of_a_cut_is_removed_by_the_delete(params string[] left)
    {
        var driver = await PreparedAsync();
        Leave(left);
        await driver.DeleteSnapshotAsync(volume, snapshot, Ct);
        Assert.Equal([$"volumes/{Names.Volume(volume)}"], FileNames());
    }

    [Fact]
    public async Task What_a_crash_left_of_a_clone_is_no_volume_and_the_next_attempt_makes_a_whole_one()
    {
        var driver = await PreparedAsync();
        await driver.CreateSnapshotAsync(volume, snapshot, null, Ct);
        var clone = VolumeId.New();
        var data = PathOf(clone);
        WriteAllText(data + ".json", "{}");
        WriteAllText(PartialOf(data), "half");
        await RefusedAsync(ErrorKind.NotFound, () => driver.CreateSnapshotAsync(clone, SnapshotId.New(), null, Ct));
        await driver.CreateVolumeFromSnapshotAsync(clone, volume, snapshot, MiB, null, Ct);
        Assert.Equal("live", System.Text.Encoding.ASCII.GetString(ReadAllBytes(data), 0, 4));
        Assert.False(Exists(PartialOf(data)));
    }

    [Fact]
    public async Task What_a_crash_left_of_a_volume_is_removed_by_the_delete()
    {
        var driver = await PreparedAsync();
        var left = VolumeId.New();
        WriteAllText(PathOf(left) + ".json", "{}");
        WriteAllText(PartialOf(PathOf(left)), "half");
        await driver.DeleteVolumeAsync(left, Ct);
        Assert.Equal([$"volumes/{Names.Volume(volume)}"], FileNames());
    }

    [Fact]
    public async Task A_lock_whose_holder_died_holds_nobody_up()
    {
        var driver = await PreparedAsync();
        WriteAllText(Path.Join(root, "locks", Names.Snapshot(snapshot)), "");
        await driver.CreateSnapshotAsync(volume, snapshot, null, Ct);
        Assert.Empty(Directory.EnumerateFiles(Path.Join(root, "locks")));
    }

    [Fact]
    public async Task A_call_that_waits_for_another_process_can_be_cancelled()
    {
        var driver = await PreparedAsync();
        using var held = OpenHandle(Path.Join(root, "locks", Names.Snapshot(snapshot)), FileMode.Create, FileAccess.ReadWrite, FileShare.None);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var waiting = driver.CreateSnapshotAsync(volume, snapshot, null, cancel.Token);
        // Another name is not held up.
        await driver.CreateSnapshotAsync(volume, SnapshotId.New(), null, Ct);
        Assert.False(waiting.IsCompleted);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        Assert.Null(await driver.FindSnapshotAsync(volume, snapshot, Ct));
    }

    // ---- things that are not ours, or damaged

    [Fact]
    public async Task Foreign_files_are_passed_over_and_left_alone()
    {
        var driver = await PreparedAsync();
        string[] foreign = ["notes.txt", "snapshot-notes.json", $"snapshot-{Guid.NewGuid().ToString().ToUpperInvariant()}.json", $"backup-{Guid.NewGuid()}.json", $".snapshot-{Guid.NewGuid()}.json"];
        foreach (var name in foreign)
        {
            WriteAllText(Path.Join(root, "snapshots", name), "mine");
        }

        var made = await driver.CreateSnapshotAsync(volume, snapshot, null, Ct);
        Assert.Equal([made], (await driver.ListSnapshotsAsync(null, 10, Ct)).Snapshots);
        await driver.DeleteSnapshotAsync(volume, snapshot, Ct);
        await driver.DeleteVolumeAsync(volume, Ct);
        Assert.Equal(foreign.Select(n => $"snapshots/{n}").Order(), FileNames());
    }

    [Fact]
    public async Task A_raw_file_that_was_put_there_by_other_means_is_a_volume()
    {
        var driver = await PreparedAsync();
        var adopted = VolumeId.New();
        WriteAllText(PathOf(adopted), "a disk");
        Assert.Equal(6, (await driver.CreateSnapshotAsync(adopted, snapshot, null, Ct)).SizeBytes);
        Assert.Equal(6, (await driver.CreateVolumeAsync(adopted, 6, Ct)).SizeBytes);
    }

    [Theory]
    [InlineData("")]
    [InlineData("not json")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("""{"snapshot":"x"}""")]
    public async Task A_damaged_record_is_refused_with_its_path_and_not_read_as_absent(string record)
    {
        var driver = await PreparedAsync();
        var path = (await driver.CreateSnapshotAsync(volume, snapshot, null, Ct)).Handle + ".json";
        WriteAllText(path, record);
        foreach (var call in (Func<Task>[])[
            () => driver.FindSnapshotAsync(volume, snapshot, Ct),
            () => driver.CreateSnapshotAsync(volume, snapshot, null, Ct),
            () => driver.DeleteSnapshotAsync(volume, snapshot, Ct),
            () => driver.ListSnapshotsAsync(null, 10, Ct),
        ])
        {
            Assert.Contains(path, (await RefusedAsync(ErrorKind.BackendRefused, call)).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_snapshot_whose_length_changed_is_refused_as_damaged()
    {
        var driver = await PreparedAsync();
        var made = await driver.CreateSnapshotAsync(volume, snapshot, null, Ct);
        SetUnixFileMode(made.Handle, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        AppendAllText(made.Handle, "more");
        await RefusedAsync(ErrorKind.BackendRefused, () => driver.FindSnapshotAsync(volume, snapshot, Ct));
    }

    [Fact]
    public async Task Symbolic_links_are_refused_wherever_they_stand()
    {
        var driver = await PreparedAsync();
        var secret = Path.Join(root, "secret");
        WriteAllText(secret, "not a volume");
        var linked = VolumeId.New();
        CreateSymbolicLink(PathOf(linked), secret);
        await RefusedAsync(ErrorKind.BackendRefused, () => driver.CreateSnapshotAsync(linked, snapshot, null, Ct));
        await RefusedAsync(ErrorKind.BackendRefused, () => driver.CreateVolumeAsync(linked, 12, Ct));
        await RefusedAsync(ErrorKind.BackendRefused, () => driver.DeleteVolumeAsync(linked, Ct));

        CreateSymbolicLink(Path.Join(root, "locks", Names.Snapshot(snapshot)), secret);
        await RefusedAsync(ErrorKind.BackendRefused, () => driver.CreateSnapshotAsync(volume, snapshot, null, Ct));

        var other = SnapshotId.New();
        CreateSymbolicLink(PathOf(other) + ".json", secret);
        await RefusedAsync(ErrorKind.BackendRefused, () => driver.FindSnapshotAsync(volume, other, Ct));
        Assert.Equal("not a volume", await ReadAllTextAsync(secret, Ct));
    }

    [Fact]
    public async Task A_link_left_where_an_attempt_works_is_replaced_and_not_followed()
    {
        var driver = await PreparedAsync();
        var secret = Path.Join(root, "secret");
        WriteAllText(secret, "untouched");
        CreateSymbolicLink(PartialOf(PathOf(snapshot)), secret);
        await driver.CreateSnapshotAsync(volume, snapshot, null, Ct);
        Assert.Equal("untouched", await ReadAllTextAsync(secret, Ct));
    }

    [Fact]
    public async Task A_directory_in_the_place_of_a_volume_is_refused()
    {
        var driver = await PreparedAsync();
        var id = VolumeId.New();
        Directory.CreateDirectory(PathOf(id));
        await RefusedAsync(ErrorKind.BackendRefused, () => driver.CreateSnapshotAsync(id, snapshot, null, Ct));
    }

    // ---- what a finished call leaves

    [Fact]
    public async Task A_snapshot_is_read_only_and_takes_no_space_for_holes()
    {
        var driver = await PreparedAsync();
        var sparse = VolumeId.New();
        await driver.CreateVolumeAsync(sparse, 1L << 34, Ct);
        using (var file = OpenHandle(PathOf(sparse), FileMode.Open, FileAccess.Write))
        {
            RandomAccess.Write(file, new byte[] { 1 }, 1L << 33);
        }

        var free = new DriveInfo(root).AvailableFreeSpace;
        var made = await driver.CreateSnapshotAsync(sparse, snapshot, null, Ct);
        Assert.Equal(1L << 34, made.SizeBytes);
        Assert.True(free - new DriveInfo(root).AvailableFreeSpace < 1L << 32, "the snapshot of an empty 16 GiB volume took space");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.GroupRead, GetUnixFileMode(made.Handle));
    }

    [Fact]
    public async Task A_copy_that_is_cancelled_stops_in_the_middle_and_leaves_no_file()
    {
        var driver = new FileVolumeDriver(root, new ImpatientClock());
        await driver.CheckAsync(Ct);
        Assert.SkipWhen(driver.Capabilities.InstantSnapshot, "temporary files are on a file system that shares blocks, so nothing is copied");
        var full = (await driver.CreateVolumeAsync(volume, 64 * MiB, Ct)).Handle;
        await WriteAllBytesAsync(full, [.. Enumerable.Repeat((byte)7, 64 * MiB)], Ct);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var seen = new List<DriverProgress>();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => driver.CreateSnapshotAsync(volume, snapshot, new Then(p =>
        {
            seen.Add(p);
            cancel.Cancel();
        }), cancel.Token));
        Assert.InRange(Assert.Single(seen).BytesDone, 1, 63 * MiB);
        Assert.Equal([$"volumes/{Names.Volume(volume)}"], FileNames());
    }

    // ---- configuration and the operating system

    [Fact]
    public async Task A_missing_root_is_refused_with_the_configuration_key()
    {
        var driver = new FileVolumeDriver(Path.Join(root, "nowhere"), TimeProvider.System, "VolumeBackend:Root");
        var refusal = await RefusedAsync(ErrorKind.InvalidRequest, () => driver.CheckAsync(Ct));
        Assert.StartsWith("VolumeBackend:Root: ", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_root_that_is_a_file_is_refused()
    {
        var file = Path.Join(root, "file");
        WriteAllText(file, "");
        await RefusedAsync(ErrorKind.InvalidRequest, () => new FileVolumeDriver(file, TimeProvider.System).CheckAsync(Ct));
    }

    [Fact]
    public async Task A_directory_of_the_back_end_that_is_a_link_is_refused()
    {
        Directory.CreateSymbolicLink(Path.Join(root, "snapshots"), Path.GetTempPath());
        await RefusedAsync(ErrorKind.InvalidRequest, () => new FileVolumeDriver(root, TimeProvider.System).CheckAsync(Ct));
    }

    [Fact]
    public async Task When_the_file_system_is_gone_nothing_is_called_absent()
    {
        var driver = await PreparedAsync();
        foreach (var directory in (string[])["volumes", "snapshots", "locks"])
        {
            Directory.Move(Path.Join(root, directory), Path.Join(root, directory + ".away"));
        }

        await RefusedAsync(ErrorKind.BackendUnavailable, () => driver.FindSnapshotAsync(volume, snapshot, Ct));
        await RefusedAsync(ErrorKind.BackendUnavailable, () => driver.ListSnapshotsAsync(null, 10, Ct));
        await RefusedAsync(ErrorKind.BackendUnavailable, () => driver.CreateSnapshotAsync(volume, snapshot, null, Ct));
        await RefusedAsync(ErrorKind.BackendUnavailable, () => driver.DeleteSnapshotAsync(volume, snapshot, Ct));
        await RefusedAsync(ErrorKind.BackendUnavailable, () => driver.DeleteVolumeAsync(volume, Ct));
    }

    [Fact]
    public async Task Permission_denied_names_the_path_and_leaves_nothing()
    {
        Assert.SkipWhen(Environment.IsPrivilegedProcess, "root may do everything");
        var driver = await PreparedAsync();
        SetUnixFileMode(PathOf(volume), UnixFileMode.None);
        var refusal = await RefusedAsync(ErrorKind.BackendRefused, () => driver.CreateSnapshotAsync(volume, snapshot, null, Ct));
        Assert.Contains(PathOf(volume), refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(13, ErrorKind.BackendRefused, "permission")]
    [InlineData(28, ErrorKind.BackendRefused, "space")]
    [InlineData(122, ErrorKind.BackendRefused, "quota")]
    [InlineData(30, ErrorKind.BackendRefused, "read-only")]
    [InlineData(5, ErrorKind.BackendRefused, "device")]
    [InlineData(27, ErrorKind.InvalidRequest, "larger")]
    [InlineData(2, ErrorKind.BackendUnavailable, "mounted")]
    [InlineData(116, ErrorKind.BackendUnavailable, "file server")]
    [InlineData(24, ErrorKind.BackendUnavailable, "open files")]
    [InlineData(12, ErrorKind.BackendUnavailable, "memory")]
    [InlineData(71, ErrorKind.BackendRefused, "log")]
    public void Each_error_number_has_a_kind_the_path_and_advice(int errno, ErrorKind kind, string advice)
    {
        var refusal = FileErrors.Translate("cut snapshot 7", new ErrnoException(errno, "open", "/srv/volumes/volume-1"));
        Assert.Equal(kind, refusal.Kind);
        Assert.Matches($"^cut snapshot 7: open /srv/volumes/volume-1: .+ \\(errno {errno}\\); .*{advice}", refusal.Message);
    }

    // ---- what the tests are made of

    private async Task<FileVolumeDriver> PreparedAsync()
    {
        var driver = new FileVolumeDriver(root, TimeProvider.System);
        await driver.CheckAsync(Ct);
        await driver.CreateVolumeAsync(volume, MiB, Ct);
        using var file = OpenHandle(PathOf(volume), FileMode.Open, FileAccess.Write);
        RandomAccess.Write(file, "live"u8, 0);
        return driver;
    }

    private void Leave(string[] left)
    {
        foreach (var name in left)
        {
            WriteAllText(Path.Join(root, "snapshots", string.Format(null, name, Names.Snapshot(snapshot))),
                name.EndsWith(".json", StringComparison.Ordinal) ? $$"""{"snapshot":"{{snapshot}}","volume":"{{volume}}","size_bytes":4,"created_at":"2024-05-01T00:00:00Z"}""" : "half");
        }
    }

    private sealed class Then(Action<DriverProgress> act) : IProgress<DriverProgress>
    {
        public void Report(DriverProgress value) => act(value);
    }

    private string PathOf(VolumeId id) => Path.Join(root, "volumes", Names.Volume(id));

    private string PathOf(SnapshotId id) => Path.Join(root, "snapshots", Names.Snapshot(id));

    private static string PartialOf(string path) => Path.Join(Path.GetDirectoryName(path), $".{Path.GetFileName(path)}.partial");

    private IEnumerable<string> FileNames() => Directory.EnumerateFiles(root, "*", SearchOption.AllDirectories).Select(p => Path.GetRelativePath(root, p)).Order();

    private static async Task<SnapshotFlowException> RefusedAsync(ErrorKind kind, Func<Task> call)
    {
        var refusal = await Assert.ThrowsAsync<SnapshotFlowException>(call);
        Assert.True(kind == refusal.Kind, $"expected {kind}, got {refusal.Kind}: {refusal.Message}");
        return refusal;
    }
}

/// <summary>A file system without space.</summary>
public sealed class FileDriverOnAFullDisk(SmallFileSystem disk) : IClassFixture<SmallFileSystem>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_snapshot_that_does_not_fit_is_refused_with_what_to_do_and_leaves_nothing()
    {
        var root = Directory.CreateDirectory(Path.Join(disk.Directory, Guid.NewGuid().ToString())).FullName;
        var driver = new FileVolumeDriver(root, TimeProvider.System);
        await driver.CheckAsync(Ct);
        var (volume, snapshot) = (VolumeId.New(), SnapshotId.New());
        var made = await driver.CreateVolumeAsync(volume, 10 << 20, Ct);
        await WriteAllBytesAsync(made.Handle, [.. Enumerable.Repeat((byte)7, 10 << 20)], Ct);
        var refusal = await Assert.ThrowsAsync<SnapshotFlowException>(() => driver.CreateSnapshotAsync(volume, snapshot, null, Ct));
        Assert.Equal(ErrorKind.BackendRefused, refusal.Kind);
        Assert.Contains("free space", refusal.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFiles(Path.Join(root, "snapshots")));
        Assert.Empty(Directory.EnumerateFiles(Path.Join(root, "locks")));
    }
}
