using SnapshotFlow.Drivers;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;

namespace SnapshotFlow.Activities;

/// <summary>Cuts and deletes snapshots in one back end: the driver call and nothing else, because a guest may be waiting.</summary>
public sealed class VolumeActivities(IVolumeDriver driver, TimeProvider time) : IVolumeActivities
{
    private readonly Heartbeats heartbeats = new(time);

    /// <inheritdoc/>
    [Activity]
    public Task<VolumeCut> CreateVolumeSnapshotAsync(VolumeSnapshotInput input) => ActivityErrors.Translate(async () =>
    {
        var progress = new LatestProgress();
        var startedAt = time.GetUtcNow();
        var created = await heartbeats.WhileWantedAsync(ct => driver.CreateSnapshotAsync(input.Volume, input.Snapshot, progress, ct), () => progress.Latest);
        return new VolumeCut(input.Volume, input.Snapshot, startedAt, created.CreatedAt, time.GetUtcNow(), created.SizeBytes, driver.Capabilities.InstantSnapshot);
    });

    /// <inheritdoc/>
    [Activity]
    public Task<BackendFacts> DescribeBackendAsync() =>
        Task.FromResult(new BackendFacts(driver.Groups switch { null => GroupCut.Never, { ServesFrozenGuests: true } => GroupCut.Always, _ => GroupCut.UnlessFrozen }));

    /// <inheritdoc/>
    [Activity]
    public Task<IReadOnlyList<VolumeCut>> CreateGroupSnapshotAsync(IReadOnlyList<VolumeSnapshotInput> members) => ActivityErrors.Translate(async () =>
    {
        var groups = driver.Groups ?? throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"back end '{driver.Capabilities.Backend}' cannot cut several volumes at once");
        var startedAt = time.GetUtcNow();
        var created = await heartbeats.WhileWantedAsync(ct => groups.CreateGroupSnapshotAsync([.. members.Select(m => new GroupMember(m.Volume, m.Snapshot))], ct));
        var endedAt = time.GetUtcNow();
        return (IReadOnlyList<VolumeCut>)[.. created.Select(c =>
            new VolumeCut(c.Volume, c.Snapshot, startedAt, c.CreatedAt, endedAt, c.SizeBytes, driver.Capabilities.InstantSnapshot, InGroup: true))];
    });

    /// <inheritdoc/>
    [Activity]
    public Task DeleteVolumeSnapshotAsync(VolumeSnapshotInput input) => ActivityErrors.Translate(() => heartbeats.WhileAsync(async ct =>
    {
        await driver.DeleteSnapshotAsync(input.Volume, input.Snapshot, ct);
        return true;
    }));

    /// <inheritdoc/>
    [Activity]
    public Task<StoredPage> ListVolumeSnapshotsAsync(ListSnapshotsInput input) => ActivityErrors.Translate(async () =>
    {
        var page = await heartbeats.WhileAsync(ct => driver.ListSnapshotsAsync(input.After, input.Limit, ct));
        return new StoredPage([.. page.Snapshots.Select(s => new StoredSnapshot(s.Snapshot, s.Volume, s.CreatedAt))], page.Next);
    });

    private sealed class LatestProgress : IProgress<DriverProgress>
    {
        public DriverProgress? Latest { get; private set; }

        public void Report(DriverProgress value) => Latest = value;
    }
}
