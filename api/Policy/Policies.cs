namespace SnapshotFlow.Api.Policy;

/// <summary>
/// What a caller needs to be, rule by rule, under the names and with the defaults that OpenStack gives them; <c>Policy:File</c> overrides them. Source: Nova
/// <c>nova/policies/</c>, Cinder <c>cinder/policies/</c>, Glance <c>glance/policies/</c>, Keystone <c>keystone/common/policies/</c>; rules of our own start
/// with <c>snapshotflow:</c>. Whether a thing is the caller's to see is decided before, by looking it up in the caller's project: what is somebody else's is
/// not found, never forbidden.
/// </summary>
internal static class Policies
{
    public const string ContextIsAdmin = "context_is_admin";

    public const string ListServers = "os_compute_api:servers:index";
    public const string ListServersDetailed = "os_compute_api:servers:detail";
    public const string ListServersOfAll = "os_compute_api:servers:index:get_all_tenants";
    public const string ShowServer = "os_compute_api:servers:show";
    public const string ServerHost = "os_compute_api:os-extended-server-attributes";
    public const string CreateImage = "os_compute_api:servers:create_image";
    public const string CreateVolumeBackedImage = "os_compute_api:servers:create_image:allow_volume_backed";
    public const string ListInstanceActions = "os_compute_api:os-instance-actions:list";
    public const string ShowInstanceAction = "os_compute_api:os-instance-actions:show";
    public const string InstanceActionEvents = "os_compute_api:os-instance-actions:events";
    public const string InstanceActionEventDetails = "os_compute_api:os-instance-actions:events:details";
    public const string ListVolumeAttachments = "os_compute_api:os-volumes-attachments:index";
    public const string ShowVolumeAttachment = "os_compute_api:os-volumes-attachments:show";
    public const string ListFlavors = "os_compute_api:flavors";
    public const string ComputeLimits = "os_compute_api:limits";
    public const string ComputeLimitsOfOthers = "os_compute_api:limits:other_project";
    public const string ShowComputeQuota = "os_compute_api:os-quota-sets:show";
    public const string ComputeQuotaDefaults = "os_compute_api:os-quota-sets:defaults";
    public const string ComputeQuotaDetail = "os_compute_api:os-quota-sets:detail";
    public const string UpdateComputeQuota = "os_compute_api:os-quota-sets:update";
    public const string DeleteComputeQuota = "os_compute_api:os-quota-sets:delete";

    public const string CreateVolume = "volume:create";
    public const string ListVolumes = "volume:get_all";
    public const string ShowVolume = "volume:get";
    public const string UpdateVolume = "volume:update";
    public const string DeleteVolume = "volume:delete";
    public const string ShowVolumeMetadata = "volume:get_volume_metadata";
    public const string CreateVolumeMetadata = "volume:create_volume_metadata";
    public const string UpdateVolumeMetadata = "volume:update_volume_metadata";
    public const string DeleteVolumeMetadata = "volume:delete_volume_metadata";
    public const string ResetVolumeStatus = "volume_extension:volume_admin_actions:reset_status";
    public const string ForceDeleteVolume = "volume_extension:volume_admin_actions:force_delete";
    public const string SetBootable = "volume_extension:volume_actions:set_bootable";
    public const string VolumeHost = "volume_extension:volume_host_attribute";
    public const string ListVolumeTypes = "volume_extension:type_get_all";
    public const string ShowVolumeType = "volume_extension:type_get";
    public const string CreateSnapshot = "volume:create_snapshot";
    public const string ListSnapshots = "volume:get_all_snapshots";
    public const string ShowSnapshot = "volume:get_snapshot";
    public const string UpdateSnapshot = "volume:update_snapshot";
    public const string DeleteSnapshot = "volume:delete_snapshot";
    public const string SnapshotAttributes = "volume_extension:extended_snapshot_attributes";
    public const string ShowSnapshotMetadata = "volume:get_snapshot_metadata";
    public const string UpdateSnapshotMetadata = "volume:update_snapshot_metadata";
    public const string DeleteSnapshotMetadata = "volume:delete_snapshot_metadata";
    public const string ResetSnapshotStatus = "volume_extension:snapshot_admin_actions:reset_status";
    public const string ForceDeleteSnapshot = "volume_extension:snapshot_admin_actions:force_delete";
    public const string UpdateSnapshotStatus = "snapshot_extension:snapshot_actions:update_snapshot_status";
    public const string UnmanageSnapshot = "snapshot_extension:snapshot_unmanage";
    public const string ListServices = "volume_extension:services:index";
    public const string UpdateServices = "volume_extension:services:update";
    public const string FreezeHost = "volume:freeze_host";
    public const string ThawHost = "volume:thaw_host";
    public const string ShowVolumeQuota = "volume_extension:quotas:show";
    public const string UpdateVolumeQuota = "volume_extension:quotas:update";
    public const string DeleteVolumeQuota = "volume_extension:quotas:delete";
    public const string UsedLimits = "limits_extension:used_limits";
    public const string RevertToSnapshot = "volume:revert_to_snapshot";
    public const string ListMessages = "message:get_all";
    public const string ShowMessage = "message:get";
    public const string DeleteMessage = "message:delete";

    public const string CreateImageRecord = "add_image";
    public const string ListImages = "get_images";
    public const string ShowImage = "get_image";
    public const string DownloadImage = "download_image";
    public const string ModifyImage = "modify_image";
    public const string DeleteImage = "delete_image";
    public const string PublicizeImage = "publicize_image";
    public const string CommunitizeImage = "communitize_image";
    public const string DeactivateImage = "deactivate";
    public const string ReactivateImage = "reactivate";
    public const string ListImageMembers = "get_members";
    public const string ShowImageMember = "get_member";
    public const string AddImageMember = "add_member";
    public const string ModifyImageMember = "modify_member";
    public const string DeleteImageMember = "delete_member";

    public const string ShowCatalog = "identity:get_auth_catalog";
    public const string ShowOwnProjects = "identity:get_auth_projects";
    public const string ShowOwnDomains = "identity:get_auth_domains";
    public const string ValidateToken = "identity:validate_token";
    public const string CheckToken = "identity:check_token";
    public const string RevokeToken = "identity:revoke_token";
    public const string ListProjects = "identity:list_projects";
    public const string ShowProject = "identity:get_project";
    public const string ListUsers = "identity:list_users";
    public const string ShowUser = "identity:get_user";
    public const string ListUserProjects = "identity:list_user_projects";
    public const string ListRoles = "identity:list_roles";
    public const string ListDomains = "identity:list_domains";
    public const string ShowDomain = "identity:get_domain";

    public const string ReadRuns = "snapshotflow:runs:get";
    public const string ReadRunsOfAll = "snapshotflow:runs:get_all_projects";
    public const string CancelRun = "snapshotflow:runs:cancel";
    public const string ListFindings = "snapshotflow:findings:get_all";
    public const string RestoreRun = "snapshotflow:runs:restore";
    public const string ReadOperations = "snapshotflow:operations:get";
    public const string CancelOperation = "snapshotflow:operations:cancel";
    public const string RegisterServer = "snapshotflow:admin:servers";
    public const string RegisterVolume = "snapshotflow:admin:volumes";
    public const string RegisterVolumeType = "snapshotflow:admin:volume_types";
    public const string RegisterQuota = "snapshotflow:admin:quotas";

    private const string Anybody = "@";
    private const string Admin = "rule:context_is_admin";
    private const string Member = "rule:project_member_or_admin";
    private const string Reader = "rule:project_reader_or_admin";
    private const string CinderReader = "rule:xena_system_admin_or_project_reader";
    private const string CinderMember = "rule:xena_system_admin_or_project_member";
    private const string GlanceReader = "rule:context_is_admin or role:reader and project_id:%(project_id)s";
    private const string GlanceMember = "rule:context_is_admin or role:member and project_id:%(project_id)s";
    private const string GlanceMemberOrSharedWith = "rule:context_is_admin or role:reader and (project_id:%(project_id)s or project_id:%(member_id)s)";
    private const string OwnOrAdmin = "rule:admin_required or user_id:%(user_id)s";

    /// <summary>Every rule by name, with its check in oslo.policy's language.</summary>
    public static IReadOnlyDictionary<string, string> Defaults { get; } = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        [ContextIsAdmin] = "role:admin",
        ["admin_api"] = "is_admin:True",
        ["admin_required"] = "role:admin or is_admin:True",
        ["project_member_api"] = "role:member and project_id:%(project_id)s",
        ["project_reader_api"] = "role:reader and project_id:%(project_id)s",
        ["project_member_or_admin"] = "rule:project_member_api or rule:context_is_admin",
        ["project_reader_or_admin"] = "rule:project_reader_api or rule:context_is_admin",
        ["xena_system_admin_or_project_reader"] = "role:admin or role:reader and project_id:%(project_id)s",
        ["xena_system_admin_or_project_member"] = "role:admin or role:member and project_id:%(project_id)s",

        [ListServers] = Reader,
        [ListServersDetailed] = Reader,
        [ListServersOfAll] = Admin,
        [ListFindings] = Admin,
        [ShowServer] = Reader,
        [ServerHost] = Admin,
        [CreateImage] = Member,
        [CreateVolumeBackedImage] = Member,
        [ListInstanceActions] = Reader,
        [ShowInstanceAction] = Reader,
        [InstanceActionEvents] = Admin,
        [InstanceActionEventDetails] = Admin,
        [ListVolumeAttachments] = Reader,
        [ShowVolumeAttachment] = Reader,
        [ListFlavors] = Anybody,
        [ComputeLimits] = Anybody,
        [ComputeLimitsOfOthers] = Admin,
        [ShowComputeQuota] = Reader,
        [ComputeQuotaDefaults] = Anybody,
        [ComputeQuotaDetail] = Reader,
        [UpdateComputeQuota] = Admin,
        [DeleteComputeQuota] = Admin,

        [CreateVolume] = CinderMember,
        [ListVolumes] = CinderReader,
        [ShowVolume] = CinderReader,
        [UpdateVolume] = CinderMember,
        [DeleteVolume] = CinderMember,
        [ShowVolumeMetadata] = CinderReader,
        [CreateVolumeMetadata] = CinderMember,
        [UpdateVolumeMetadata] = CinderMember,
        [DeleteVolumeMetadata] = CinderMember,
        [ResetVolumeStatus] = "rule:admin_api",
        [ForceDeleteVolume] = "rule:admin_api",
        [SetBootable] = CinderMember,
        [VolumeHost] = "rule:admin_api",
        [ListVolumeTypes] = CinderReader,
        [ShowVolumeType] = CinderReader,
        [CreateSnapshot] = CinderMember,
        [ListSnapshots] = CinderReader,
        [ShowSnapshot] = CinderReader,
        [UpdateSnapshot] = CinderMember,
        [DeleteSnapshot] = CinderMember,
        [SnapshotAttributes] = CinderReader,
        [ShowSnapshotMetadata] = CinderReader,
        [UpdateSnapshotMetadata] = CinderMember,
        [DeleteSnapshotMetadata] = CinderMember,
        [ResetSnapshotStatus] = "rule:admin_api",
        [ForceDeleteSnapshot] = "rule:admin_api",
        [UpdateSnapshotStatus] = CinderMember,
        [UnmanageSnapshot] = "rule:admin_api",
        [ListServices] = "rule:admin_api",
        [UpdateServices] = "rule:admin_api",
        [FreezeHost] = "rule:admin_api",
        [ThawHost] = "rule:admin_api",
        [ShowVolumeQuota] = CinderReader,
        [UpdateVolumeQuota] = "rule:admin_api",
        [DeleteVolumeQuota] = "rule:admin_api",
        [UsedLimits] = CinderReader,
        [RevertToSnapshot] = CinderMember,
        [ListMessages] = CinderReader,
        [ShowMessage] = CinderReader,
        [DeleteMessage] = CinderMember,

        [CreateImageRecord] = GlanceMember,
        [ListImages] = GlanceReader,
        [ShowImage] = "rule:context_is_admin or role:reader and (project_id:%(project_id)s or project_id:%(member_id)s or 'community':%(visibility)s"
            + " or 'public':%(visibility)s or 'shared':%(visibility)s)",
        [DownloadImage] = "rule:context_is_admin or role:member and (project_id:%(project_id)s or project_id:%(member_id)s or 'community':%(visibility)s"
            + " or 'public':%(visibility)s or 'shared':%(visibility)s)",
        [ModifyImage] = GlanceMember,
        [DeleteImage] = GlanceMember,
        [PublicizeImage] = Admin,
        [CommunitizeImage] = GlanceMember,
        [DeactivateImage] = Admin,
        [ReactivateImage] = Admin,
        [ListImageMembers] = GlanceMemberOrSharedWith,
        [ShowImageMember] = GlanceMemberOrSharedWith,
        [AddImageMember] = GlanceMember,
        [ModifyImageMember] = "rule:context_is_admin or role:member and project_id:%(member_id)s",
        [DeleteImageMember] = GlanceMember,

        [ShowCatalog] = Anybody,
        [ShowOwnProjects] = Anybody,
        [ShowOwnDomains] = Anybody,
        [ValidateToken] = OwnOrAdmin,
        [CheckToken] = OwnOrAdmin,
        [RevokeToken] = OwnOrAdmin,
        [ListProjects] = "rule:admin_required",
        [ShowProject] = "rule:admin_required or project_id:%(project_id)s",
        [ListUsers] = "rule:admin_required",
        [ShowUser] = OwnOrAdmin,
        [ListUserProjects] = OwnOrAdmin,
        [ListRoles] = "rule:admin_required",
        [ListDomains] = "rule:admin_required",
        [ShowDomain] = Anybody,

        [ReadRuns] = Reader,
        [ReadRunsOfAll] = Admin,
        [CancelRun] = Member,
        [RestoreRun] = Member,
        [ReadOperations] = Reader,
        [CancelOperation] = Member,
        [RegisterServer] = Admin,
        [RegisterVolume] = Admin,
        [RegisterVolumeType] = Admin,
        [RegisterQuota] = Admin,
    };
}
