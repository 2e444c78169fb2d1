namespace SnapshotFlow.Model;

/// <summary>
/// Statuses of a volume that a snapshot asks about, spelled as in Cinder. The list is open: a volume may be in any other status of its block storage
/// (<c>attaching</c>, <c>retyping</c>, <c>backing-up</c> …), and each of those refuses a snapshot.
/// </summary>
public static class VolumeStatus
{
    /// <summary>Being made.</summary>
    public const string Creating = "creating";

    /// <summary>Attached to nothing.</summary>
    public const string Available = "available";

    /// <summary>Attached to a server.</summary>
    public const string InUse = "in-use";

    /// <summary>Taken out of use by an administrator.</summary>
    public const string Maintenance = "maintenance";

    /// <summary>On its way out.</summary>
    public const string Deleting = "deleting";

    /// <summary>Deleting failed; the back end may still have it. Only an administrator gets it out of here.</summary>
    public const string ErrorDeleting = "error_deleting";

    /// <summary>Gone; the row is kept so that a late step cannot bring it back.</summary>
    public const string Deleted = "deleted";

    /// <summary>Unusable.</summary>
    public const string Error = "error";

    /// <summary>What an administrator may say that a volume is. Source: Cinder, <c>VolumeStatus</c>, but for <c>deleted</c>: a volume becomes that by being deleted.</summary>
    public static readonly IReadOnlyList<string> All =
    [
        Creating, Available, Deleting, Error, "error_managing", "managing", "attaching", InUse, "detaching", Maintenance, "restoring-backup", "error_restoring", "reserved",
        "awaiting-transfer", "backing-up", "error_backing-up", ErrorDeleting, "error_extending", "downloading", Uploading, "retyping", "extending",
    ];

    /// <summary>Being copied into an image.</summary>
    public const string Uploading = "uploading";

    /// <summary>What the statuses of a secondary replica start with.</summary>
    public const string ReplicaPrefix = "replica_";
}
