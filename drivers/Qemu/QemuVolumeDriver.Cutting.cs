using SnapshotFlow.Drivers.File;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Qemu;

/// <summary>The cut: a snapshot inside each volume, all at one instant, by QEMU where a guest has the volumes open and by qemu-img where none has.</summary>
public sealed partial class QemuVolumeDriver
{
    /// <summary>Cuts one volume, or several at one instant.</summary>
    private async Task<IReadOnlyList<CreatedSnapshot>> CutAsync(IReadOnlyList<GroupMember> members, CancellationToken ct)
    {
        using var locks = LockSnapshots(members, ct);
        var existing = members.Select(m => Find(m.Snapshot)).ToList();
        foreach (var (member, found) in members.Zip(existing))
        {
            if (found is not null && found.Volume != member.Volume)
            {
                throw VolumeRequest.OtherVolume(member.Volume, found);
            }

            if (Regular(layout.Volume(member.Volume)) is null)
            {
                throw VolumeRequest.NoVolume(member.Volume, Kind);
            }
        }

        var whole = existing.OfType<CreatedSnapshot>().ToList();
        if (whole.Count == members.Count && whole.DistinctBy(s => s.CreatedAt).Count() == 1)
        {
            return whole;
        }

        if (whole.Count > 0 && !await IsBrokenOffAsync(members, whole, ct).ConfigureAwait(false))
        {
            throw new SnapshotFlowException(ErrorKind.StaleStatus, $"snapshot {whole[0].Snapshot} of volume {whole[0].Volume} was cut on its own or with others; choose other ids");
        }

        var sizes = Sizes(members);
        var createdAt = whole.Count > 0 ? whole[0].CreatedAt : await CutInsideAsync(members, ct).ConfigureAwait(false);
        try
        {
            foreach (var member in members)
            {
                FileRecords.Write(Record(member.Snapshot), new QemuSnapshotRecord(member.Snapshot, member.Volume, sizes[member.Volume], createdAt));
            }

            Libc.SyncDirectory(layout.Snapshots);
        }
        catch
        {
            await TryUndoAsync(members).ConfigureAwait(false);
            throw;
        }

        return [.. members.Select(m => Created(new(m.Snapshot, m.Volume, sizes[m.Volume], createdAt)))];
    }

    /// <summary>Whether a worker died between the records of one group cut: then all the snapshots are inside, and those recorded have one instant.</summary>
    private async Task<bool> IsBrokenOffAsync(IReadOnlyList<GroupMember> members, IReadOnlyList<CreatedSnapshot> whole, CancellationToken ct)
    {
        if (members.Count == whole.Count || whole.DistinctBy(s => s.CreatedAt).Count() > 1)
        {
            return false;
        }

        var running = await RunningAsync(members, ct).ConfigureAwait(false);
        foreach (var member in members)
        {
            if (!(await InsideAsync(member.Volume, running, ct).ConfigureAwait(false)).Contains(Names.Snapshot(member.Snapshot)))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Makes the snapshots inside the volumes, all at one instant, and says when.</summary>
    private async Task<DateTimeOffset> CutInsideAsync(IReadOnlyList<GroupMember> members, CancellationToken ct)
    {
        try
        {
            return await TryCutInsideAsync(members, ct).ConfigureAwait(false);
        }
        catch (QemuException e) when (e.Kind is ErrorKind.Busy)
        {
            // A guest was started, or ended, between the look and the cut.
            return await TryCutInsideAsync(members, ct).ConfigureAwait(false);
        }
    }

    private async Task<DateTimeOffset> TryCutInsideAsync(IReadOnlyList<GroupMember> members, CancellationToken ct)
    {
        var running = await RunningAsync(members, ct).ConfigureAwait(false);
        await RemoveInsideAsync(members, running, ct).ConfigureAwait(false);
        var sockets = running.Values.Select(r => r.Socket).Distinct().ToList();
        if (sockets.Count > 1)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"the volumes belong to {sockets.Count} running guests; cut those of one guest at once");
        }

        try
        {
            // Those that no guest has open do not change: whenever they are cut, it is the same instant.
            foreach (var member in members.Where(m => !running.ContainsKey(m.Volume)))
            {
                await image.CutAsync(layout.Volume(member.Volume), Names.Snapshot(member.Snapshot), ct).ConfigureAwait(false);
            }

            if (sockets is [var socket])
            {
                await guests.CutAsync(
                    socket, [.. members.Where(m => running.ContainsKey(m.Volume)).Select(m => (running[m.Volume].Node, Names.Snapshot(m.Snapshot)))], ct).ConfigureAwait(false);
            }

            return time.GetUtcNow();
        }
        catch (Exception e) when (e is not QemuException { Kind: ErrorKind.BackendUnavailable })
        {
            // Unknown outcomes are left to the next attempt or the delete: the guest does not answer now.
            await TryUndoAsync(members).ConfigureAwait(false);
            throw;
        }
    }

    private async Task TryUndoAsync(IReadOnlyList<GroupMember> members)
    {
        try
        {
            foreach (var member in members)
            {
                Libc.Remove(Record(member.Snapshot));
            }

            await RemoveInsideAsync(members, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SnapshotFlowException or QemuException or ErrnoException)
        {
            // The first failure is the one to report; without a record what is left is no snapshot, and the next attempt or the delete removes it.
        }
    }

    private async Task RemoveInsideAsync(IReadOnlyList<GroupMember> members, CancellationToken ct) =>
        await RemoveInsideAsync(members, await RunningAsync(members, ct).ConfigureAwait(false), ct).ConfigureAwait(false);

    private async Task RemoveInsideAsync(IReadOnlyList<GroupMember> members, IReadOnlyDictionary<VolumeId, QmpVolume> running, CancellationToken ct)
    {
        foreach (var (volume, snapshot) in members.Select(m => (m.Volume, Names.Snapshot(m.Snapshot))))
        {
            if (!(await InsideAsync(volume, running, ct).ConfigureAwait(false)).Contains(snapshot))
            {
                continue;
            }

            if (running.TryGetValue(volume, out var open))
            {
                await guests.RemoveAsync(open, snapshot, ct).ConfigureAwait(false);
            }
            else
            {
                await image.RemoveAsync(layout.Volume(volume), snapshot, ct).ConfigureAwait(false);
            }
        }
    }

    /// <summary>The names of the snapshots inside a volume.</summary>
    private async Task<IReadOnlyList<string>> InsideAsync(VolumeId volume, IReadOnlyDictionary<VolumeId, QmpVolume> running, CancellationToken ct) =>
        running.TryGetValue(volume, out var open) ? open.Snapshots : (await image.InfoAsync(layout.Volume(volume), ct).ConfigureAwait(false)).Snapshots;

    private Task<IReadOnlyDictionary<VolumeId, QmpVolume>> RunningAsync(IReadOnlyList<GroupMember> members, CancellationToken ct) =>
        guests.FindAsync(members.ToDictionary(m => m.Volume, m => layout.Volume(m.Volume)), ct);
}
