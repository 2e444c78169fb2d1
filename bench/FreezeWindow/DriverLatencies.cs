using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.File;
using SnapshotFlow.Drivers.Qemu;
using SnapshotFlow.Drivers.Rbd;
using SnapshotFlow.Model;

namespace SnapshotFlow.Bench.FreezeWindow;

/// <summary>Each call of each driver on a volume of 64 MiB, one at a time.</summary>
internal static class DriverLatencies
{
    private const long Size = 64L << 20;

    public static async Task MeasureAsync(string directory, RbdOptions? rbd, int rounds, CancellationToken ct)
    {
        Console.WriteLine($"## Driver calls: median / p99 ms of {rounds}, volumes of 64 MiB, one call at a time");
        Console.WriteLine();
        Console.WriteLine("| Driver | create volume | cut | find | clone | delete clone | delete snapshot | delete volume |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|");
        foreach (var (name, driver) in Drivers(directory, rbd))
        {
            await driver.CheckAsync(ct);
            Samples create = new(), cut = new(), find = new(), clone = new(), deleteClone = new(), deleteSnapshot = new(), deleteVolume = new();
            for (var i = 0; i < rounds; i++)
            {
                var (volume, copy, snapshot) = (VolumeId.New(), VolumeId.New(), SnapshotId.New());
                await create.TimeAsync(() => driver.CreateVolumeAsync(volume, Size, ct));
                await cut.TimeAsync(() => driver.CreateSnapshotAsync(volume, snapshot, null, ct));
                await find.TimeAsync(() => driver.FindSnapshotAsync(volume, snapshot, ct));
                await clone.TimeAsync(() => driver.CreateVolumeFromSnapshotAsync(copy, volume, snapshot, Size, null, ct));
                await deleteClone.TimeAsync(() => driver.DeleteVolumeAsync(copy, ct));
                await deleteSnapshot.TimeAsync(() => driver.DeleteSnapshotAsync(volume, snapshot, ct));
                await deleteVolume.TimeAsync(() => driver.DeleteVolumeAsync(volume, ct));
            }

            Console.WriteLine($"| {name} | {create} | {cut} | {find} | {clone} | {deleteClone} | {deleteSnapshot} | {deleteVolume} |");
            (driver as IDisposable)?.Dispose();
        }

        Console.WriteLine();
    }

    private static IEnumerable<(string Name, IVolumeDriver Driver)> Drivers(string directory, RbdOptions? rbd)
    {
        yield return ("file", new FileVolumeDriver(Directory.CreateDirectory(Path.Combine(directory, "file")).FullName, TimeProvider.System));
        if (Directory.Exists("/usr/share/qemu") || File.Exists("/usr/bin/qemu-img"))
        {
            var root = Directory.CreateDirectory(Path.Combine(directory, "qemu")).FullName;
            yield return ("qemu (no guest: qemu-img)", new QemuVolumeDriver(root, new() { QmpDirectory = root }, TimeProvider.System));
        }

        if (rbd is not null)
        {
            yield return ("rbd", new RbdVolumeDriver(rbd, TimeProvider.System));
        }
    }
}
