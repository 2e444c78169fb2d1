using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>The activity contracts over whichever <see cref="FakeCloud"/> the running test has set up.</summary>
public sealed class FakeActivities : IRecordActivities, IGuestActivities, IVolumeActivities
{
    public FakeCloud Cloud { get; set; } = new();

    [Activity]
    public Task<PreparedImage> PrepareImageAsync(CreateImageInput input) => Do("PrepareImage", () => Cloud.Prepare(input, take: true));

    [Activity]
    public Task<PreparedImage> PlanImageAsync(CreateImageInput input) => Do("PlanImage", () => Cloud.Prepare(input, take: false));

    [Activity]
    public Task<ServerLocation> LocateServerAsync(ServerId server) => Do("LocateServer", () => Cloud.Location);

    [Activity]
    public Task ReleaseServerAsync(CreateImageInput input) => Do("ReleaseServer", () => Cloud.Release(input.Image));

    [Activity]
    public Task CheckQuotaAsync(PreparedInput input) => Do("CheckQuota", () => Cloud.Reserve(input.Request.Image));

    [Activity]
    public Task ReleaseQuotaAsync(CreateImageInput input) => Do("ReleaseQuota", () => Cloud.ReleaseQuota(input.Image));

    [Activity]
    public Task ReserveRecordsAsync(PreparedInput input) => Do("ReserveRecords", Cloud.WriteRecords);

    [Activity]
    public Task RemoveRecordsAsync(CreateImageInput input, IReadOnlyList<SnapshotId> leftBehind) => Do("RemoveRecords", () => Cloud.RemoveRecords(input.Image));

    [Activity]
    public Task<GuestAnswer> ProbeGuestAsync(ProbeGuestInput input) => Do("ProbeGuest", () => Cloud.Guest);

    [Activity]
    public Task<QuiesceResult> QuiesceAsync(QuiesceInput input) => Do("Quiesce", () => Cloud.Freeze(input.Deadline));

    [Activity]
    public Task<VolumeCut> CreateVolumeSnapshotAsync(VolumeSnapshotInput input) => Cloud.Heartbeats
        ? Heartbeating(() => Do("CreateVolumeSnapshot", () => Cloud.Cut(input)))
        : Do("CreateVolumeSnapshot", () => Cloud.Cut(input));

    [Activity]
    public Task<BackendFacts> DescribeBackendAsync() => Do("DescribeBackend", () => new BackendFacts(Cloud.GroupCut));

    [Activity]
    public Task<IReadOnlyList<VolumeCut>> CreateGroupSnapshotAsync(IReadOnlyList<VolumeSnapshotInput> members) =>
        Heartbeating(() => Do("CreateGroupSnapshot", () => Cloud.CutGroup(members)));

    [Activity]
    public Task DeleteVolumeSnapshotAsync(VolumeSnapshotInput input) => Do("DeleteVolumeSnapshot", () => Cloud.Delete(input.Snapshot));

    [Activity]
    public Task<StoredPage> ListVolumeSnapshotsAsync(ListSnapshotsInput input) => Do("ListVolumeSnapshots", () => new StoredPage(
        [.. Cloud.Snapshots.OrderBy(s => s.ToString(), StringComparer.Ordinal).Select(s => new StoredSnapshot(s, Cloud.VolumeOf(s), DateTimeOffset.UnixEpoch))], null));

    [Activity]
    public Task<UnquiesceResult> UnquiesceAsync(UnquiesceInput input) => Do(input.MovedTo is null ? "Unquiesce" : "EndLease", () => Cloud.Thaw(input));

    [Activity]
    public Task CopyGlanceMetadataAsync(VolumeSnapshotInput input) => Do("CopyGlanceMetadata", () => { });

    [Activity]
    public Task CompleteSnapshotsAsync(PreparedInput input) => Do("CompleteSnapshots", () => Cloud.Complete(input.Request.Image));

    [Activity]
    public Task CreateImageRecordAsync(CreateImageRecordInput input) => Do("CreateImageRecord", () => Cloud.Record(input));

    [Activity]
    public Task CloseRunAsync(CloseRunInput input) => Do("CloseRun", () => Cloud.Close(input));

    private Task<T> Do<T>(string activity, Func<T> effect) => Cloud.DoAsync(activity, effect);

    private Task Do(string activity, Action effect) => Cloud.DoAsync(activity, () =>
    {
        effect();
        return true;
    });

    /// <summary>Heartbeats until the work ends, as the real cut does: that is how a cancellation reaches it.</summary>
    public static async Task<T> Heartbeating<T>(Func<Task<T>> work)
    {
        var context = ActivityExecutionContext.Current;
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
        var working = work();
        var tick = timer.WaitForNextTickAsync().AsTask();
        while (await Task.WhenAny(working, tick) != working)
        {
            context.Heartbeat();
            tick = timer.WaitForNextTickAsync().AsTask();
        }

        return await working;
    }
}
