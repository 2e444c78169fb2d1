namespace SnapshotFlow.DemoGuest;

/// <summary>What runs in the guest: writes 1, 2, 3, … to its disks, each number to every disk in order, as fast as the disks take it or with a pause after each number.</summary>
internal sealed class Workload(IReadOnlyList<WitnessDisk> disks, FreezeGate gate, TimeSpan pause)
{
    /// <summary>Opens the disks, and goes on where they stand; disks that are no consistent set are begun anew.</summary>
    public static (IReadOnlyList<WitnessDisk> Disks, IReadOnlyList<long> Written) Open(IReadOnlyList<string> paths, long newBytes)
    {
        var disks = new List<WitnessDisk>();
        try
        {
            for (var i = 0; i < paths.Count; i++)
            {
                disks.Add(WitnessDisk.Open(paths[i], i + 1, newBytes));
            }

            if (Witness.Read(paths) is { Consistent: true } report)
            {
                return (disks, report.Sequences);
            }

            disks.ForEach(d => d.Clear());
            return (disks, [.. paths.Select(_ => 0L)]);
        }
        catch
        {
            disks.ForEach(d => d.Dispose());
            throw;
        }
    }

    /// <summary>Writes until the gate stops it; returns the last number that all disks have.</summary>
    /// <param name="written">The last number on each disk.</param>
    public long Run(IReadOnlyList<long> written)
    {
        // A round that was broken off is finished first: no disk may miss a number.
        for (var n = Math.Max(1, written[^1] == written[0] ? written[0] + 1 : written[0]); ; n++)
        {
            for (var i = 0; i < disks.Count; i++)
            {
                var disk = disks[i];
                if (written[i] < n && !gate.Write(() => disk.Write(n)))
                {
                    return n - 1;
                }
            }

            if (gate.WaitForStop(pause))
            {
                return n;
            }
        }
    }
}
