using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Store;

/// <summary>Things with valid defaults, so that a test shows only what matters. Projects are new for each, so tests do not meet.</summary>
internal static class Given
{
    public static readonly DateTimeOffset Now = new(2026, 8, 1, 10, 0, 0, TimeSpan.Zero);

    public static Caller Member(string project) => new(project, "user-1", ["member"]);

    public static Caller Admin() => new("project-of-admins", "user-0", ["admin"]);

    public static string Project() => "project-" + Guid.NewGuid().ToString("N");

    public static Volume Volume(string project, int sizeGib = 10, string? type = null, bool bootable = false) => new()
    {
        Id = VolumeId.New(),
        ProjectId = project,
        UserId = "user-1",
        Name = "disk",
        Description = "a disk",
        Status = VolumeStatus.InUse,
        SizeGib = sizeGib,
        VolumeType = type,
        Bootable = bootable,
        Backend = "host1@file",
        AvailabilityZone = "nova",
    };

    public static Server Server(string project) => new()
    {
        Id = ServerId.New(),
        ProjectId = project,
        UserId = "user-1",
        Name = "web",
        Host = "host1",
        VmState = VmState.Active,
        RootDeviceName = "/dev/vda",
        SystemMetadata = new Dictionary<string, string?> { ["image_min_disk"] = "20", ["image_hw_qemu_guest_agent"] = "yes", ["network_allocated"] = "True" },
        LaunchedAt = Now.AddDays(-1),
        GuestAgentAddress = "qga:unix:/run/guest.sock",
    };

    public static ServerRegistration Registration(Server server, params Volume[] volumes) => new(
        server,
        [.. volumes.Select((v, i) => new BlockDevice
        {
            SourceType = "volume",
            DestinationType = "volume",
            BootIndex = i == 0 ? 0 : null,
            DeviceName = $"/dev/vd{(char)('a' + i)}",
            VolumeId = v.Id,
            VolumeSize = v.SizeGib,
        })],
        [.. volumes.Select(v => new VolumeRegistration(v, v.Bootable ? new Dictionary<string, string> { ["image_name"] = "debian" } : new Dictionary<string, string>()))]);

    public static Snapshot Snapshot(Volume volume, ImageId? image = null, DateTimeOffset? createdAt = null) => new()
    {
        Id = image is { } id ? DeterministicId.Snapshot(id, volume.Id) : SnapshotId.New(),
        VolumeId = volume.Id,
        ImageId = image,
        ProjectId = volume.ProjectId,
        UserId = "user-1",
        Name = "snapshot for snap",
        Status = SnapshotStatus.Creating,
        ProgressPercent = 0,
        SizeGib = volume.SizeGib,
        VolumeType = volume.VolumeType,
        CreatedAt = createdAt ?? Now,
    };

    public static RunRecord Run(string project, ImageId? image = null, string requestId = "req-1", DateTimeOffset? startedAt = null) => new()
    {
        ImageId = image ?? ImageId.New(),
        ServerId = ServerId.New(),
        ProjectId = project,
        UserId = "user-1",
        RequestId = requestId,
        Name = "snap",
        Status = RunStatus.Running,
        Step = Step.PrepareImage,
        Quiesce = QuiesceMode.Try,
        StartedAt = startedAt ?? Now,
    };

    public static ImageDraft Draft(string project, string name = "snap", string visibility = "private", string? member = null) =>
        new(name, project, visibility, member, 20, 0, new Dictionary<string, string>(), "/dev/vda", [], []);
}
