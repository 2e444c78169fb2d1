using System.Collections.Concurrent;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;

namespace SnapshotFlow.Tests.Api;

/// <summary>A hypervisor and a back end that keep state and do what the test says.</summary>
public sealed class FakeHosts : IGuestActivities, IVolumeActivities
{
    private readonly ConcurrentDictionary<ServerId, DateTimeOffset> frozen = new();

    /// <summary>How often each guest was frozen.</summary>
    public ConcurrentDictionary<ServerId, int> Freezes { get; } = new();

    public ConcurrentDictionary<SnapshotId, VolumeId> Snapshots { get; } = new();

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
        Snapshots.TryRemove(input.Snapshot, out _);
        return Task.CompletedTask;
    }

    [Activity]
    public Task<StoredPage> ListVolumeSnapshotsAsync(ListSnapshotsInput input) => Task.FromResult(new StoredPage(
        [.. Snapshots.OrderBy(s => s.Key.ToString(), StringComparer.Ordinal).Select(s => new StoredSnapshot(s.Key, s.Value, DateTimeOffset.UnixEpoch))], null));
}
