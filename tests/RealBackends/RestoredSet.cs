using SnapshotFlow.Drivers;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.RealBackends;

/// <summary>What a set of volumes made from one image's snapshots tells.</summary>
/// <param name="Numbers">The witness's number on each data disk.</param>
/// <param name="Cached">The number that was written without a sync.</param>
/// <param name="Replays">How many file systems need their journal replayed.</param>
/// <param name="Damaged">How many file systems e2fsck finds fault with.</param>
internal sealed record RestoredSet(IReadOnlyList<long> Numbers, IReadOnlyList<long> Cached, int Replays, int Damaged)
{
    /// <summary>Whether it stands for one instant.</summary>
    public bool OneInstant => Numbers.SequenceEqual(Numbers.OrderDescending()) && Numbers[0] - Numbers[^1] is 0 or 1;

    /// <summary>Whether file systems were flushed at that instant: they mount without a replay, and what was only in memory is there.</summary>
    public bool Flushed => Replays == 0 && Damaged == 0 && Cached.Zip(Numbers).All(n => n.First - n.Second is 0 or 1);

    /// <summary>Makes volumes from the snapshots, looks into them without mounting, and removes them.</summary>
    /// <param name="real">Where.</param>
    /// <param name="backend">Which back end.</param>
    /// <param name="dataDisks">Volume and snapshot of every data disk, in the order of the disks.</param>
    public static async Task<RestoredSet> LookAsync(RealStack real, RealBackend backend, IReadOnlyList<GroupMember> dataDisks)
    {
        var (numbers, cached, replays, damaged) = (new List<long>(), new List<long>(), 0, 0);
        foreach (var disk in dataDisks)
        {
            var copy = await CopyAsync(real, backend, disk);
            try
            {
                numbers.Add(await NumberAsync(copy, "durable"));
                cached.Add(await NumberAsync(copy, "cached"));
                replays += (await Tool.RunAsync("dumpe2fs", "-h", copy)).Contains("needs_recovery", StringComparison.Ordinal) ? 1 : 0;
                // Forced and read-only: what a replay would mend does not count as damage, anything else does.
                damaged += (await Tool.TryAsync("e2fsck", "-fn", copy)).Code is 0 || replays > 0 ? 0 : 1;
            }
            finally
            {
                File.Delete(copy);
            }
        }

        return new(numbers, cached, replays, damaged);
    }

    private static async Task<string> CopyAsync(RealStack real, RealBackend backend, GroupMember disk)
    {
        var (driver, restored, ct) = (real.Driver(backend), VolumeId.New(), TestContext.Current.CancellationToken);
        var copy = Path.Combine(real.Guests, $"{restored}.raw");
        await driver.CreateVolumeFromSnapshotAsync(restored, disk.Volume, disk.Snapshot, RealGuest.DiskBytes, null, ct);
        if (backend is RealBackend.Rbd)
        {
            await Tool.RunAsync("rbd", "--conf", RealStack.Ceph.Conf, "--id", RealStack.Ceph.User, "export", "--no-progress", $"{RealStack.Ceph.Pool}/{Names.Volume(restored)}", copy);
        }
        else
        {
            await Tool.RunAsync("qemu-img", "convert", "-f", "qcow2", "-O", "raw", Path.Combine(real.QemuRoot, "volumes", Names.Volume(restored)), copy);
        }

        await driver.DeleteVolumeAsync(restored, ct);
        return copy;
    }

    private static async Task<long> NumberAsync(string copy, string file) =>
        long.TryParse((await Tool.RunAsync("debugfs", "-R", $"cat /{file}", copy)).TrimEnd('\0', '\n'), out var number) ? number : -1;
}
