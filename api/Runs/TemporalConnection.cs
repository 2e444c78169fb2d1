using Microsoft.Extensions.Options;
using SnapshotFlow.Telemetry;
using Temporalio.Client;
using Temporalio.Common.EnvConfig;

namespace SnapshotFlow.Api.Runs;

internal static class TemporalConnection
{
    private const string AddressKey = "TEMPORAL_ADDRESS";
    private const string DefaultAddress = "127.0.0.1:7233";

    /// <summary>
    /// The connection that the SDK's standard configuration describes: <c>TEMPORAL_ADDRESS</c>, <c>TEMPORAL_NAMESPACE</c>, TLS, API key, profile file. It is
    /// made when it is first needed and again when it is lost, so that this process starts before Temporal does and says in its readiness what is missing.
    /// </summary>
    /// <exception cref="OptionsValidationException">The configuration cannot be read, or names no address.</exception>
    public static IServiceCollection AddTemporalConnection(this IServiceCollection services, IConfiguration configuration)
    {
        var options = Load(configuration);
        services.AddSingleton<ITemporalClient>(provider =>
        {
            options.AddTelemetry(provider);
            return TemporalClient.CreateLazy(options);
        });
        services.AddOptions<RunOptions>().BindConfiguration("Runs").ValidateOnStart()
            .Validate(o => o.AcceptTimeout > TimeSpan.Zero, "Runs:AcceptTimeout is not a positive time: write for example 00:01:00")
            .Validate(o => o.ProgressTimeout > TimeSpan.Zero, "Runs:ProgressTimeout is not a positive time: write for example 00:00:02");
        return services.AddSingleton<ImageRuns>().AddSingleton<ResourceRuns>();
    }

    private static TemporalClientConnectOptions Load(IConfiguration configuration)
    {
        // From the host's configuration, where the environment variables are, so that a command line can say the same.
        var variables = configuration.AsEnumerable()
            .Where(v => v.Key.StartsWith("TEMPORAL_", StringComparison.Ordinal) && v.Value is not null)
            .ToDictionary(v => v.Key, v => v.Value!);
        TemporalClientConnectOptions options;
        try
        {
            options = ClientEnvConfig.LoadClientConnectOptions(new() { OverrideEnvVars = variables });
        }
        catch (InvalidOperationException e)
        {
            throw Wrong($"The TEMPORAL_… configuration cannot be read: {e.Message}");
        }

        options.TargetHost ??= DefaultAddress;
        return Uri.TryCreate($"tcp://{options.TargetHost}", UriKind.Absolute, out var address) && address.Port > 0 && address.PathAndQuery is "" or "/"
            ? options
            : throw Wrong($"{AddressKey} is '{options.TargetHost}', which is not host:port: write for example {DefaultAddress}");
    }

    private static OptionsValidationException Wrong(string message) =>
        new(nameof(TemporalClientConnectOptions), typeof(TemporalClientConnectOptions), [message]);
}
