using System.Diagnostics;
using System.Globalization;
using SnapshotFlow.Tests.TemporalDev.Sdk;
using Temporalio.Client;
using Temporalio.Runtime;

namespace SnapshotFlow.Tests.TemporalDev.Durability;

/// <summary>
/// The server is killed at random moments while clients and workers use it. <c>TEMPORAL_DEV_CRASH_KILLS</c> says how often (default 25;
/// 200 and more is the full proof), <c>TEMPORAL_DEV_CRASH_SEED</c> repeats the load and the moments of a former run.
/// </summary>
public sealed class SurvivingKill9(SharedPostgres postgres)
{
    private const int DefaultKills = 25;

    /// <summary>One kill in this many hits a server that is still starting.</summary>
    private const int KillsPerEarlyKill = 8;

    private static readonly TimeSpan LongestLife = TimeSpan.FromMilliseconds(900);
    private static readonly TimeSpan LongestDrain = TimeSpan.FromSeconds(180);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_answer_still_holds_after_the_server_was_killed_again_and_again()
    {
        Assert.SkipWhen(PrivatePostgres.Missing is not null, PrivatePostgres.Missing ?? "");
        var kills = Setting("TEMPORAL_DEV_CRASH_KILLS") ?? DefaultKills;
        var seed = Setting("TEMPORAL_DEV_CRASH_SEED") ?? Random.Shared.Next();
        TestContext.Current.TestOutputHelper!.WriteLine($"TEMPORAL_DEV_CRASH_SEED={seed} TEMPORAL_DEV_CRASH_KILLS={kills}");
        var began = Stopwatch.GetTimestamp();
        await using var server = new DurableServer(await (await postgres.Cluster).CreateDatabaseAsync());
        await server.StartAsync(Token);
        var quiet = new TemporalRuntime(new TemporalRuntimeOptions
        {
            Telemetry = new TelemetryOptions { Logging = new LoggingOptions { Filter = new TelemetryFilterOptions(TelemetryFilterOptions.Level.Error) } },
        });
        var client = await TemporalClient.ConnectAsync(new TemporalClientConnectOptions(server.Address) { Runtime = quiet });
        var witness = new Witness();
        var load = new CrashLoad(client, witness, seed);
        using var enough = new CancellationTokenSource();

        var standing = new StandingData(client, witness);
        await standing.SetUpAsync();
        var running = load.RunAsync(() => StopTicksAsync(client, standing), enough.Token, Token);
        await Task.WhenAny(running, KillAsync(server, kills, new Random(seed), Token)).Unwrap();
        Assert.True(load.InFlight >= 20, $"only {load.InFlight} workflows were in flight");
        await enough.CancelAsync();
        if (await Task.WhenAny(running, Task.Delay(LongestDrain, Token)) != running)
        {
            Assert.Fail($"seed {seed}: these do not end:\n{await load.ExplainAsync()}");
        }

        await running;
        await load.CheckAsync(Token);
        await standing.CheckAsync(Token);

        TestContext.Current.TestOutputHelper!.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{kills} kills in {Stopwatch.GetElapsedTime(began).TotalSeconds:0} s; {load.Completed} workflows completed; {witness.SeenEvents} events seen; "
            + $"{load.Acknowledged} raw answers acknowledged; median start {server.Starts.Order().ElementAt(server.Starts.Count / 2).TotalMilliseconds:0} ms"));
        Assert.True(witness.Violations.Count == 0, $"seed {seed}:\n{string.Join('\n', witness.Violations.Take(20))}");
    }

    private static async Task KillAsync(DurableServer server, int kills, Random random, CancellationToken cancellationToken)
    {
        for (var i = 0; i < kills; i++)
        {
            await Task.Delay(LongestLife * random.NextDouble(), cancellationToken);
            await server.KillAsync();
            if (random.Next(KillsPerEarlyKill) == 0)
            {
                await server.LaunchAsync();
                continue;
            }

            await server.StartAsync(cancellationToken);
        }

        if (server.Starts.Count < kills)
        {
            await server.WaitUntilListeningAsync(cancellationToken);
        }
    }

    /// <summary>Ends the schedule and waits for the runs that it has started.</summary>
    private static async Task StopTicksAsync(TemporalClient client, StandingData standing)
    {
        await standing.StopAsync();
        await Until.TrueAsync(async () => (await client.CountWorkflowsAsync("WorkflowType = 'Tick' AND ExecutionStatus = 'Running'")).Count == 0);
    }

    private static int? Setting(string name) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : null;
}
