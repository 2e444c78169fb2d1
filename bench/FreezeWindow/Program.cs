using System.Globalization;
using SnapshotFlow.Bench.FreezeWindow;
using SnapshotFlow.Drivers.Rbd;

// Measures storage drivers, and how long a guest stands still while an image is made. Prints Markdown tables; see docs/performance.md.
//   snapshotflow bench backends [--rounds N]      default 20
// Ceph is measured when SNAPSHOTFLOW_TEST_CEPH_CONF, …_POOL and …_USER name a cluster.
if (args is not ([] or ["--rounds", _]) || !int.TryParse(args is [_, var text] ? text : "20", CultureInfo.InvariantCulture, out var rounds) || rounds < 1)
{
    await Console.Error.WriteLineAsync("usage: bench backends [--rounds N]");
    return 2;
}

using var stop = new CancellationTokenSource();
Console.CancelKeyPress += (_, e) =>
{
    e.Cancel = true;
    stop.Cancel();
};

static string? Ceph(string name) => Environment.GetEnvironmentVariable($"SNAPSHOTFLOW_TEST_CEPH_{name}") is { Length: > 0 } value ? value : null;

var rbd = Ceph("CONF") is { } conf ? new RbdOptions { Conf = conf, Pool = Ceph("POOL") ?? "volumes", User = Ceph("USER") ?? "cinder" } : null;
var directory = Directory.CreateTempSubdirectory("sf-bench-");
try
{
    await DriverLatencies.MeasureAsync(directory.FullName, rbd, rounds, stop.Token);
    await SetLatencies.MeasureAsync(directory.FullName, rbd, rounds, stop.Token);
    await FreezeWindows.MeasureAsync(directory.FullName, rbd, rounds, stop.Token);
    return 0;
}
finally
{
    directory.Delete(recursive: true);
}
