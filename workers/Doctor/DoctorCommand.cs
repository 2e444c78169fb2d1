using Microsoft.Extensions.Configuration;
using Temporalio.Common.EnvConfig;

namespace SnapshotFlow.Workers.Doctor;

/// <summary>
/// <c>snapshotflow-workers doctor</c>: looks at everything that has to work together, from wherever the database and Temporal can be reached, changes nothing, and says
/// what to do about each thing it finds. The exit code is the worst: 0 well, 1 warnings, 2 errors; 64 when it was called wrongly.
/// </summary>
public static class DoctorCommand
{
    private const int Usage = 64; // EX_USAGE of sysexits.h
    private const string Json = "--json";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>Looks and reports; the exit code.</summary>
    public static async Task<int> RunAsync(IReadOnlyList<string> args, IConfiguration configuration, bool development)
    {
        if (args.FirstOrDefault(a => a != Json) is { } unknown)
        {
            await Console.Error.WriteLineAsync($"doctor does not know '{unknown}'; usage: snapshotflow-workers doctor [{Json}], with Store__ConnectionString and TEMPORAL_ADDRESS in the environment");
            return Usage;
        }

        using var limit = new CancellationTokenSource(Patience);
        List<Diagnosis> found = [.. Configuration(configuration, development)];
        IReadOnlyList<string> places = [];
        if (configuration["Store:ConnectionString"] is { Length: > 0 } store)
        {
            var database = new DatabaseChecks(store, TimeProvider.System);
            found.AddRange(await database.RunAsync(limit.Token));
            places = database.Places;
        }
        else
        {
            found.Add(Diagnosis.Error("configuration", "Store:ConnectionString", "is missing", "set Store__ConnectionString as the control workers have it"));
        }

        var temporal = ClientEnvConfig.LoadClientConnectOptions(new ClientEnvConfig.ProfileLoadOptions());
        if (string.IsNullOrEmpty(temporal.TargetHost))
        {
            found.Add(Diagnosis.Error("configuration", "TEMPORAL_ADDRESS", "is missing", "set it to host:port of the Temporal frontend, with its companions"));
        }
        else
        {
            found.AddRange(await new TemporalChecks(temporal, places, TimeProvider.System).RunAsync(limit.Token));
        }

        DoctorReport.Write(found, asJson: args.Contains(Json));
        return (int)found.Max(d => d.Severity);
    }

    /// <summary>What this machine's own workers would be told, where they are configured by the same environment.</summary>
    public static IEnumerable<Diagnosis> Configuration(IConfiguration configuration, bool development)
    {
        if (configuration["Workers:Roles"] is not { Length: > 0 } roles)
        {
            return [];
        }

        try
        {
            WorkersConfiguration.Read(configuration, development);
            return [Diagnosis.Ok("configuration", "Workers:Roles", $"{roles}: every key can work")];
        }
        catch (InvalidConfigurationException e)
        {
            return e.Message.Split(Environment.NewLine).Select(line => Diagnosis.Error("configuration", "Workers:Roles", line, "correct the key; the worker does not start with it"));
        }
    }
}
