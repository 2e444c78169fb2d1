using SnapshotFlow.Activities;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Exceptions;
using Temporalio.Testing;

namespace SnapshotFlow.Tests.Store;

/// <summary>The record-keeping of single snapshots, volumes and finished images, as a workflow would call it.</summary>
internal sealed class ResourceKeeping(StoreDatabase db, DateTimeOffset? now = null)
{
    private readonly TimeProvider time = new FixedTime(now ?? Given.Now);

    public SnapshotActivities Snapshots => new(db.Database, db.Volumes, db.Snapshots, db.Images, db.Quotas, db.Notifications, db.Messages, time);

    public ImageActivities Images => new(db.Database, db.Images, db.Snapshots, db.Volumes, db.Quotas, db.Operations, db.Notifications, db.Messages, time);

    public VolumeRecordActivities Volumes => new(db.Database, db.Volumes, db.Snapshots, db.Quotas, db.Messages, time);

    /// <summary>A registered volume of a project of its own, or of another.</summary>
    public async Task<Volume> VolumeAsync(string? project = null, Func<Volume, Volume>? change = null, bool attached = false, Dictionary<string, string>? glance = null)
    {
        var volume = (change ?? (v => v))(Given.Volume(project ?? Given.Project()) with { Status = attached ? VolumeStatus.InUse : VolumeStatus.Available });
        var server = Given.Server(volume.ProjectId);
        await db.Servers.RegisterAsync(
            new ServerRegistration(
                server,
                [new BlockDevice { SourceType = "volume", DestinationType = "volume", BootIndex = 0, DeviceName = "/dev/vda", VolumeId = volume.Id }],
                [new VolumeRegistration(volume, glance ?? [])]),
            Given.Now, CancellationToken.None);
        if (!attached)
        {
            // The volume stays when its server goes.
            await db.ScalarAsync($"DELETE FROM servers WHERE id = '{server.Id}'");
        }

        return volume;
    }

    public static CreateVolumeSnapshotInput Cut(Volume volume, bool allowInUse = false) =>
        new(SnapshotId.New(), volume.Id, "snap", "of a disk", new Dictionary<string, string> { ["a/b"] = "c" }, allowInUse, Given.Member(volume.ProjectId), "req-1");

    /// <summary>An available snapshot of its own.</summary>
    public async Task<Snapshot> SnapshotAsync(Volume? of = null)
    {
        var input = Cut(of ?? await VolumeAsync(), allowInUse: true);
        await Run(() => Snapshots.AdmitSnapshotAsync(input));
        await Run(() => Snapshots.CompleteSnapshotAsync(input));
        return (await db.Snapshots.FindVisibleAsync(input.Snapshot, Given.Admin(), CancellationToken.None))!;
    }

    /// <summary>An active image of a server, with its snapshots.</summary>
    public async Task<(CreateImageInput Request, IReadOnlyList<Snapshot> Snapshots)> ImageAsync()
    {
        var keeping = await RecordKeeping.OnAsync(db);
        await keeping.SucceedAsync();
        await db.Quotas.SetLimitAsync(keeping.Server.ProjectId, Quota.Volumes, Quota.Unlimited, CancellationToken.None);
        return (keeping.Input, await db.Snapshots.ListAsync(keeping.Server.ProjectId, new SnapshotFilter(Image: keeping.Input.Image), new Page(100), CancellationToken.None));
    }

    public static Task<T> Run<T>(Func<Task<T>> step) => new ActivityEnvironment().RunAsync(step);

    public static Task Run(Func<Task> step) => new ActivityEnvironment().RunAsync(step);

    /// <summary>The step refuses with this kind; answers the text.</summary>
    public static async Task<string> RefusesAsync(ErrorKind kind, Func<Task> step)
    {
        var e = await Assert.ThrowsAsync<ApplicationFailureException>(() => Run(step));
        Assert.Equal(kind.ToString(), e.ErrorType);
        return e.Message;
    }

    private sealed class FixedTime(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}
