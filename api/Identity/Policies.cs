using SnapshotFlow.Api.Faults;
using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Identity;

/// <summary>
/// What a caller needs to be, rule by rule, under the names that OpenStack gives them. Whether a thing is the caller's own is decided before, by looking it up in
/// the caller's project: what is somebody else's is not found, never forbidden. Source: Nova <c>nova/policies/servers.py</c>, Cinder
/// <c>cinder/policies/snapshots.py</c>, Glance <c>glance/policies/image.py</c>; rules of our own start with <c>snapshotflow:</c>.
/// </summary>
internal static class Policies
{
    public const string ListServers = "os_compute_api:servers:index";
    public const string ShowServer = "os_compute_api:servers:show";
    public const string CreateImage = "os_compute_api:servers:create_image";
    public const string ListSnapshots = "volume:get_all_snapshots";
    public const string ShowSnapshot = "volume:get_snapshot";
    public const string ListImages = "get_images";
    public const string ShowImage = "get_image";
    public const string ReadRuns = "snapshotflow:runs:get";
    public const string CancelRun = "snapshotflow:runs:cancel";

    public const string CreateSnapshot = "volume:create_snapshot";
    public const string UpdateSnapshot = "volume:update_snapshot";
    public const string DeleteSnapshot = "volume:delete_snapshot";
    public const string ShowSnapshotMetadata = "volume:get_snapshot_metadata";
    public const string UpdateSnapshotMetadata = "volume:update_snapshot_metadata";
    public const string DeleteSnapshotMetadata = "volume:delete_snapshot_metadata";
    public const string ResetSnapshotStatus = "volume_extension:snapshot_admin_actions:reset_status";
    public const string ForceDeleteSnapshot = "volume_extension:snapshot_admin_actions:force_delete";
    public const string UpdateSnapshotStatus = "snapshot_extension:snapshot_actions:update_snapshot_status";
    public const string ListVolumes = "volume:get_all";
    public const string ShowVolume = "volume:get";
    public const string CreateVolume = "volume:create";
    public const string DeleteVolume = "volume:delete";
    public const string ListMessages = "message:get_all";
    public const string ShowMessage = "message:get";
    public const string DeleteMessage = "message:delete";
    public const string ModifyImage = "modify_image";
    public const string DeleteImage = "delete_image";
    public const string ReadOperations = "snapshotflow:operations:get";
    public const string CancelOperation = "snapshotflow:operations:cancel";
    public const string RestoreImage = "snapshotflow:images:restore";

    private const string Reader = "reader";
    private const string Member = "member";
    private const string Admin = "admin";

    private static readonly Dictionary<string, string> LeastRole = new()
    {
        [ListServers] = Reader,
        [ShowServer] = Reader,
        [CreateImage] = Member,
        [ListSnapshots] = Reader,
        [ShowSnapshot] = Reader,
        [ListImages] = Reader,
        [ShowImage] = Reader,
        [ReadRuns] = Reader,
        [CancelRun] = Member,
        [CreateSnapshot] = Member,
        [UpdateSnapshot] = Member,
        [DeleteSnapshot] = Member,
        [ShowSnapshotMetadata] = Reader,
        [UpdateSnapshotMetadata] = Member,
        [DeleteSnapshotMetadata] = Member,
        [ResetSnapshotStatus] = Admin,
        [ForceDeleteSnapshot] = Admin,
        [UpdateSnapshotStatus] = Member,
        [ListVolumes] = Reader,
        [ShowVolume] = Reader,
        [CreateVolume] = Member,
        [DeleteVolume] = Member,
        [ListMessages] = Reader,
        [ShowMessage] = Reader,
        [DeleteMessage] = Member,
        [ModifyImage] = Member,
        [DeleteImage] = Member,
        [ReadOperations] = Reader,
        [CancelOperation] = Member,
        [RestoreImage] = Member,
    };

    /// <summary>Ends the request with 403 unless the caller may. An admin is also a member, and a member is also a reader, as in Keystone.</summary>
    public static void Demand(this Caller caller, string rule)
    {
        string[] sufficient = LeastRole[rule] switch
        {
            Reader => [Reader, Member, Admin],
            Member => [Member, Admin],
            _ => [Admin],
        };
        if (!sufficient.Any(caller.Roles.Contains))
        {
            throw Fault.Forbidden($"Policy doesn't allow {rule} to be performed.");
        }
    }
}
