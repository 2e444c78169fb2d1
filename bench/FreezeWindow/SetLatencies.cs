using System.Diagnostics;
using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.File;
using SnapshotFlow.Drivers.Rbd;
using SnapshotFlow.Model;

namespace SnapshotFlow.Bench.FreezeWindow;

/// <summary>A set of volumes cut in each of the ways there are, in one run: this is what a guest would have to stand still for.</summary>
internal static class SetLatencies
{
    public static async Task MeasureAsync(string directory, RbdOptions? rbd, int rounds, CancellationToken ct)
    {
        Console.WriteLine($"## A set of volumes: median / p99 ms of {rounds}");
        Console.WriteLine();
        Console.WriteLine("| Back end | Volumes | driver, at once | driver, one after another | driver, as a group | `rbd snap create`, one after another |");
        Console.WriteLine("|---|---|---|---|---|---|");
        await MeasureAsync("file", new FileVolumeDriver(Directory.CreateDirectory(Path.Combine(directory, "sets")).FullName, TimeProvider.System), null, rounds, ct);
        if (rbd is not null)
        {
            using var driver = new RbdVolumeDriver(rbd, TimeProvider.System);
            await MeasureAsync("rbd", driver, rbd, rounds, ct);
        }

        Console.WriteLine();
    }

    private static async Task MeasureAsync(string name, IVolumeDriver driver, RbdOptions? rbd, int rounds, CancellationToken ct)
    {
        await driver.CheckAsync(ct);
        foreach (var count in (int[])[1, 4, 8, 16])
        {
            var volumes = Enumerable.Range(0, count).Select(_ => VolumeId.New()).ToList();
            await Task.WhenAll(volumes.Select(v => driver.CreateVolumeAsync(v, 64L << 20, ct)));
            Samples atOnce = new(), serial = new(), group = new(), command = new();
            for (var i = 0; i < rounds; i++)
            {
                await OnceAsync(atOnce, members => Task.WhenAll(members.Select(m => driver.CreateSnapshotAsync(m.Volume, m.Snapshot, null, ct))));
                await OnceAsync(serial, async members =>
                {
                    foreach (var member in members)
                    {
                        await driver.CreateSnapshotAsync(member.Volume, member.Snapshot, null, ct);
                    }
                });
                if (driver.Groups is { } together)
                {
                    await OnceAsync(group, members => together.CreateGroupSnapshotAsync(members, ct));
                }

                if (rbd is not null)
                {
                    await OnceAsync(command, async members =>
                    {
                        foreach (var member in members)
                        {
                            await CommandAsync(rbd, $"{rbd.Pool}/{Names.Volume(member.Volume)}@{Names.Snapshot(member.Snapshot)}", ct);
                        }
                    });
                }
            }

            Console.WriteLine($"| {name} | {count} | {atOnce} | {serial} | {group} | {command} |");
            await Task.WhenAll(volumes.Select(v => driver.DeleteVolumeAsync(v, ct)));

            async Task OnceAsync(Samples samples, Func<IReadOnlyList<GroupMember>, Task> cut)
            {
                var members = volumes.Select(v => new GroupMember(v, SnapshotId.New())).ToList();
                await samples.TimeAsync(() => cut(members));
                await Task.WhenAll(members.Select(m => driver.DeleteSnapshotAsync(m.Volume, m.Snapshot, ct)));
            }
        }
    }

    private static async Task CommandAsync(RbdOptions rbd, string snapshot, CancellationToken ct)
    {
        using var process = Process.Start(new ProcessStartInfo("rbd", ["--conf", rbd.Conf, "--id", rbd.User, "snap", "create", "--no-progress", snapshot]))!;
        await process.WaitForExitAsync(ct);
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"rbd snap create {snapshot} ended with exit code {process.ExitCode}");
        }
    }
}
