using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.File;
using SnapshotFlow.Model;

namespace SnapshotFlow.Stack;

/// <summary>The storage back end, looked at and used directly, behind the product's back: what is really there.</summary>
/// <param name="root">Its directory.</param>
public sealed class StorageView(string root)
{
    private readonly FileVolumeDriver driver = new(root, TimeProvider.System);

    /// <summary>The driver itself, without any injected fault.</summary>
    public IVolumeDriver Driver => driver;

    /// <summary>Makes the directories.</summary>
    public Task PrepareAsync(CancellationToken ct) => driver.CheckAsync(ct);

    /// <summary>Path of a volume's bytes.</summary>
    public string VolumeFile(VolumeId volume) => Path.Combine(root, "volumes", Names.Volume(volume));

    /// <summary>Every file in the directory of snapshots: whole snapshots, their records, and what a crash may have left of one.</summary>
    public IReadOnlySet<string> SnapshotFiles() => Directory.EnumerateFiles(Path.Combine(root, "snapshots")).Select(f => Path.GetFileName(f)!).ToHashSet();

    /// <summary>Every whole snapshot.</summary>
    public async Task<IReadOnlyList<CreatedSnapshot>> SnapshotsAsync(CancellationToken ct)
    {
        List<CreatedSnapshot> all = [];
        string? after = null;
        do
        {
            var page = await driver.ListSnapshotsAsync(after, SnapshotPage.MaxLimit, ct);
            all.AddRange(page.Snapshots);
            after = page.Next;
        }
        while (after is not null);
        return all;
    }
}
