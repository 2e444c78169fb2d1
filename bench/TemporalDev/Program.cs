using System.Globalization;
using SnapshotFlow.Bench.TemporalDev;
using SnapshotFlow.Tests.TemporalDev.Durability;

if (args is [WorkerRole.Argument, var address, var pollers])
{
    await WorkerRole.RunAsync(address, int.Parse(pollers, CultureInfo.InvariantCulture));
    return 0;
}

if (args.Contains("--help"))
{
    Console.WriteLine(BenchOptions.Help);
    return 0;
}

BenchOptions options;
try
{
    options = BenchOptions.Parse(args);
}
catch (FormatException e)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}

var report = new Report();
PrivatePostgres? cluster = null;
try
{
    if (options.Stores.Contains("durable") && options.Database is null)
    {
        cluster = await PrivatePostgres.StartAsync();
    }

    foreach (var openRuns in options.OpenRuns)
    {
        await MeasureAsync(openRuns);
    }

    report.Compare();
    return 0;
}
finally
{
    if (cluster is not null)
    {
        await cluster.DisposeAsync();
    }
}

// Each number of open runs has servers and workers of its own, so that nothing of what was measured before is measured again. The stores take turns.
async Task MeasureAsync(int openRuns)
{
    var subjects = new List<ServerUnderTest>();
    try
    {
        foreach (var store in options.Stores)
        {
            var database = store == "memory" ? null : options.Database ?? await cluster!.CreateDatabaseAsync();
            var server = new ServerUnderTest(store, database, database is null ? null : cluster?.ProcessId);
            subjects.Add(server);
            await PrepareAsync(server, openRuns);
        }

        foreach (var activities in options.Activities)
        {
            foreach (var callers in options.Callers)
            {
                foreach (var (server, measured) in subjects.Zip(await Measurement.TakeAsync(subjects, callers, activities, options.Length)))
                {
                    report.Row(server.Store, openRuns, activities, callers, measured);
                }
            }
        }

        foreach (var server in subjects.Where(s => s.Store == "durable"))
        {
            await server.KillAsync();
            var again = await server.StartAsync();
            report.Fact(server.Store, $"start after a kill with {openRuns} open runs", $"{again.TotalMilliseconds:0} ms");
        }
    }
    finally
    {
        subjects.ForEach(server => server.Dispose());
    }
}

async Task PrepareAsync(ServerUnderTest server, int openRuns)
{
    var start = await server.StartAsync();
    report.Fact(server.Store, "start until it listens", $"{start.TotalMilliseconds:0} ms");
    report.Fact(server.Store, "memory after the start", $"{server.ServerMemory:0} MiB");
    await server.StartWorkerAsync(options.Pollers);
    await Measurement.WarmUpAsync(server, options.WarmUp);
    report.Fact(server.Store, $"memory after {options.WarmUp} workflows", $"{server.ServerMemory:0} MiB");
    await Measurement.OpenAsync(server, openRuns);
    report.Fact(server.Store, $"memory with {openRuns} open runs", $"{server.ServerMemory:0} MiB");
}
