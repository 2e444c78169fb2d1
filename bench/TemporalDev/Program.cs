using System.Globalization;
using SnapshotFlow.Bench.TemporalDev;
using SnapshotFlow.Tests.TemporalDev.Durability;
using Temporalio.Client;

if (args is [WorkerRole.Argument, var address])
{
    await WorkerRole.RunAsync(address);
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

    foreach (var store in options.Stores)
    {
        var database = store == "memory" ? null : options.Database ?? await cluster!.CreateDatabaseAsync();
        await MeasureAsync(store, database);
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

async Task MeasureAsync(string store, string? database)
{
    using var server = new ServerUnderTest(database, database is null ? null : cluster?.ProcessId);
    var start = await server.StartAsync();
    report.Fact(store, "start until it listens", $"{start.TotalMilliseconds:0} ms");
    report.Fact(store, "memory after the start", $"{server.ServerMemory:0} MiB");
    await server.StartWorkerAsync();
    var client = await TemporalClient.ConnectAsync(new TemporalClientConnectOptions(server.Address));
    await Measurement.WarmUpAsync(client, options.WarmUp);
    var open = 0;
    foreach (var runs in options.OpenRuns)
    {
        await Measurement.OpenAsync(client, runs - open);
        open = runs;
        report.Fact(store, $"memory with {runs} open runs", $"{server.ServerMemory:0} MiB");
        foreach (var activities in options.Activities)
        {
            foreach (var callers in options.Callers)
            {
                report.Row(store, runs, activities, callers, await Measurement.TakeAsync(client, server, callers, activities, options.Length));
            }
        }
    }

    if (database is not null)
    {
        await server.KillAsync();
        var again = await server.StartAsync();
        report.Fact(store, $"start after a kill with {open} open runs", $"{again.TotalMilliseconds:0} ms");
    }
}
