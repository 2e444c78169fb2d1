using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.File;

/// <summary>
/// What is where under the root:
/// <code>
/// volumes/volume-ID            the volume's bytes, raw, sparse; its length is the volume's size
/// volumes/volume-ID.json       only for clones: what it was made from
/// snapshots/snapshot-ID        the snapshot's bytes, raw, sparse, read-only
/// snapshots/snapshot-ID.json   written last: the snapshot exists when both files do
/// …/.NAME.partial              an attempt under way, or what a crash left of one
/// locks/NAME                   held while somebody makes or deletes NAME
/// </code>
/// Any other file is foreign and is left alone.
/// </summary>
internal sealed class FileLayout(string root)
{
    private const string RecordSuffix = ".json";

    public string Root { get; } = root;

    public string Volumes { get; } = Path.Join(root, "volumes");

    public string Snapshots { get; } = Path.Join(root, "snapshots");

    public string Locks { get; } = Path.Join(root, "locks");

    public string Volume(VolumeId id) => Path.Join(Volumes, Names.Volume(id));

    public string Snapshot(SnapshotId id) => Path.Join(Snapshots, Names.Snapshot(id));

    public static string Record(string data) => data + RecordSuffix;

    public static string Partial(string final) => Path.Join(Path.GetDirectoryName(final), $".{Path.GetFileName(final)}.partial");

    /// <summary>The snapshots that have a record; foreign names are passed over.</summary>
    public IEnumerable<SnapshotId> RecordedSnapshots()
    {
        foreach (var path in Directory.EnumerateFiles(Snapshots, "*" + RecordSuffix))
        {
            if (BackendNames.TrySnapshot(Path.GetFileNameWithoutExtension(path), out var id))
            {
                yield return id;
            }
        }
    }
}
