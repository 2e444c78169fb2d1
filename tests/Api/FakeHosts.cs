using System.Collections.Concurrent;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;

namespace SnapshotFlow.Tests.Api;

/// <summary>A hypervisor and a back end that keep state and do what the test says.</summary>
public sealed class FakeHosts : IGuestActivities, IVolumeActivities, IVolumeCloneActivities
{
    private readonly ConcurrentDictionary<ServerId, DateTimeOffset> frozen = new();

    /// <summary>How often each guest was frozen.</summary>
    public ConcurrentDictionary<ServerId, int> Freezes { get; } = new();

    public ConcurrentDictionary<SnapshotId, VolumeId> Snapshots { get; } = new();

    /// <summary>The volumes that were made from snapshots.</summary>
    public ConcurrentDictionary<VolumeId, SnapshotId> Volumes { get; } = new();

    /// <summary>What every call that makes or deletes something fails with; null for none.</summary>
    public ErrorKind? Broken { get; set; }

    /// <summary>What every call that makes a volume fails with; null for none.</summary>
    public ErrorKind? BrokenClones { get; set; }

    /// <summary>What the agent of every guest answers.</summary>
    public GuestAnswer Guest { get; set; } = new(true, null);

    /// <summary>Every cut waits for it.</summary>
    public TaskCompletionSource? Hold { get; set; }

    [Activity]
    public Task<GuestAnswer> ProbeGuestAsync(ProbeGuestInput input) => Task.FromResult(Guest);

    [Activity]
    public Task<QuiesceResult> QuiesceAsync(QuiesceInput input)
    {
        Freezes.AddOrUpdate(input.Server, 1, (_, n) => n + 1);
        var now = frozen[input.Server] = TimeProvider.System.GetUtcNow();
        return Task.FromResult(new QuiesceResult(now, now + input.Deadline));
    }

    [Activity]
    public Task<UnquiesceResult> UnquiesceAsync(UnquiesceInput input)
    {
        var was = frozen.TryRemove(input.Server, out var since);
        return Task.FromResult(new UnquiesceResult(was, was ? since : null, TimeProvider.System.GetUtcNow(), LeaseExpired: false, AgentError: null));
    }

    [Activity]
    public async Task<VolumeCut> CreateVolumeSnapshotAsync(VolumeSnapshotInput input)
    {
        var context = ActivityExecutionContext.Current;
        var start = TimeProvider.System.GetUtcNow();
        if (Hold is { } hold)
        {
            using var beat = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
            while (!hold.Task.IsCompleted)
            {
                context.Heartbeat();
                await beat.WaitForNextTickAsync(context.CancellationToken);
            }
        }

        Work();
        Snapshots[input.Snapshot] = input.Volume;
        var now = TimeProvider.System.GetUtcNow();
        return new(input.Volume, input.Snapshot, start, now, now, 1 << 30, PointInTime: true);
    }

    [Activity]
    public Task<BackendFacts> DescribeBackendAsync() => Task.FromResult(new BackendFacts(GroupCut.Never));

    [Activity]
    public async Task<IReadOnlyList<VolumeCut>> CreateGroupSnapshotAsync(IReadOnlyList<VolumeSnapshotInput> members) => [.. await Task.WhenAll(members.Select(CreateVolumeSnapshotAsync))];

    [Activity]
    public Task DeleteVolumeSnapshotAsync(VolumeSnapshotInput input)
    {
        Work();
        Snapshots.TryRemove(input.Snapshot, out _);
        return Task.CompletedTask;
    }

    [Activity]
    public Task<MadeVolume> CreateVolumeFromSnapshotAsync(VolumeToMake input)
    {
        if (BrokenClones is { } kind)
        {
            throw new Temporalio.Exceptions.ApplicationFailureException("the pool is full", errorType: kind.ToString(), nonRetryable: !kind.IsRetryable());
        }

        Work();
        Volumes[input.Volume] = input.Snapshot;
        return Task.FromResult(new MadeVolume(input.Volume, NeedsSnapshot: false));
    }

    [Activity]
    public Task DeleteVolumeAsync(VolumeId volume)
    {
        Work();
        Volumes.TryRemove(volume, out _);
        return Task.CompletedTask;
    }

    private void Work()
    {
        if (Broken is { } kind)
        {
            throw new Temporalio.Exceptions.ApplicationFailureException("the pool is read-only", errorType: kind.ToString(), nonRetryable: !kind.IsRetryable());
        }
    }

    [Activity]
    public Task<StoredPage> ListVolumeSnapshotsAsync(ListSnapshotsInput input) => Task.FromResult(new StoredPage(
        [.. Snapshots.OrderBy(s => s.Key.ToString(), StringComparer.Ordinal).Select(s => new StoredSnapshot(s.Key, s.Value, DateTimeOffset.UnixEpoch))], null));
}
