using System.Diagnostics.CodeAnalysis;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers;

/// <summary>The way back from <see cref="Names.Volume"/> and <see cref="Names.Snapshot"/>: tells our things in a back end from foreign ones.</summary>
public static class BackendNames
{
    private static readonly string VolumePrefix = Prefix(Names.Volume(default), default(VolumeId).ToString());
    private static readonly string SnapshotPrefix = Prefix(Names.Snapshot(default), default(SnapshotId).ToString());

    /// <summary>The volume that a name stands for; false when it is not exactly the name that this product gives one.</summary>
    public static bool TryVolume([NotNullWhen(true)] string? name, out VolumeId volume)
    {
        volume = default;
        return name is not null && name.StartsWith(VolumePrefix, StringComparison.Ordinal)
            && VolumeId.TryParse(name[VolumePrefix.Length..], null, out volume) && name == Names.Volume(volume);
    }

    /// <summary>The snapshot that a name stands for; false when it is not exactly the name that this product gives one.</summary>
    public static bool TrySnapshot([NotNullWhen(true)] string? name, out SnapshotId snapshot)
    {
        snapshot = default;
        return name is not null && name.StartsWith(SnapshotPrefix, StringComparison.Ordinal)
            && SnapshotId.TryParse(name[SnapshotPrefix.Length..], null, out snapshot) && name == Names.Snapshot(snapshot);
    }

    private static string Prefix(string name, string id) => name[..^id.Length];
}
