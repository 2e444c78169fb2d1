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
        foreach (var openRuns in options.OpenRuns)
        {
            var database = store == "memory" ? null : options.Database ?? await cluster!.CreateDatabaseAsync();
            await MeasureAsync(store, openRuns, database);
        }
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

// A server and a worker of their own, so that nothing of what was measured before is measured again.
async Task MeasureAsync(string store, int openRuns, string? database)
{
    using var server = new ServerUnderTest(database, database is null ? null : cluster?.ProcessId);
    var start = await server.StartAsync();
    report.Fact(store, "start until it listens", $"{start.TotalMilliseconds:0} ms");
    report.Fact(store, "memory after the start", $"{server.ServerMemory:0} MiB");
    await server.StartWorkerAsync();
    var client = await TemporalClient.ConnectAsync(new TemporalClientConnectOptions(server.Address));
    await Measurement.WarmUpAsync(client, options.WarmUp);
    report.Fact(store, $"memory after {options.WarmUp} workflows", $"{server.ServerMemory:0} MiB");
    await Measurement.OpenAsync(client, openRuns);
    report.Fact(store, $"memory with {openRuns} open runs", $"{server.ServerMemory:0} MiB");
    foreach (var activities in options.Activities)
    {
        foreach (var callers in options.Callers)
        {
            report.Row(store, openRuns, activities, callers, await Measurement.TakeAsync(client, server, callers, activities, options.Length));
        }
    }

    if (database is not null)
    {
        await server.KillAsync();
        var again = await server.StartAsync();
        report.Fact(store, $"start after a kill with {openRuns} open runs", $"{again.TotalMilliseconds:0} ms");
    }
}
