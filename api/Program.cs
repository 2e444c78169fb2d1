using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Options;
using SnapshotFlow.Api.Admin;
using SnapshotFlow.Api.Dashboard;
using OpenTelemetry.Trace;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Findings;
using SnapshotFlow.Api.Health;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Images;
using SnapshotFlow.Api.OpenApi;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Quotas;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Runs;
using SnapshotFlow.Api.Servers;
using SnapshotFlow.Api.Snapshots;
using SnapshotFlow.Api.Versions;
using SnapshotFlow.Api.Volumes;
using SnapshotFlow.Store;
using SnapshotFlow.Telemetry;

namespace SnapshotFlow.Api;

/// <summary>The process that tenants call.</summary>
public static class Program
{
    /// <summary>Loopback: whoever wants to be reached from elsewhere says so with <c>urls</c>.</summary>
    private const string DefaultUrl = "http://127.0.0.1:8774";

    /// <summary>
    /// Runs until it is told to stop. Exit code 78 (EX_CONFIG of sysexits.h) when the configuration is wrong, with the keys on standard error; 1 when somebody listens
    /// where it should.
    /// </summary>
    public static async Task<int> Main(string[] args)
    {
        try
        {
            await using var app = Build(args);
            app.Services.GetRequiredService<IStartupValidator>().Validate();
            await app.RunAsync();
            return 0;
        }
        catch (Exception e) when (WhyNot(e) is { Lines: [_, ..] lines } why)
        {
            foreach (var line in lines)
            {
                await Console.Error.WriteLineAsync($"snapshotflow-api: {line}");
            }

            return why.ExitCode;
        }
    }

    /// <summary>The application, not yet started.</summary>
    public static WebApplication Build(string[] args)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { Args = args, ContentRootPath = AppContext.BaseDirectory });
        builder.AddLogLines();
        builder.AddTelemetry("snapshotflow-api");
        builder.Services.ConfigureOpenTelemetryTracerProvider(t => t.AddAspNetCoreInstrumentation());
        builder.AddLimits();
        builder.Services
            .AddStore(builder.Configuration)
            .AddTemporalConnection(builder.Configuration)
            .AddIdentity()
            .AddPolicy()
            .AddImages()
            .AddSnapshots()
            .AddVolumes()
            .AddOpenApiDocument()
            .AddPublicUrl()
            .AddJson()
            .AddDashboard()
            .AddHealth();
        if (builder.Configuration[WebHostDefaults.ServerUrlsKey] is null)
        {
            builder.WebHost.UseUrls(DefaultUrl);
        }

        var app = builder.Build();
        app.UseRequestIds();
        app.UseMiddleware<FaultMiddleware>();
        app.UseRouting();
        app.UseAuthentication();
        app.UseRequestProject();
        app.UseAuthorization();
        app.UseMicroversions();
        app.UseIdempotentRequests();
        app.MapVersions();
        app.MapIdentity();
        app.MapHealth();
        app.MapServers();
        app.MapServerParts();
        app.MapInstanceActions();
        app.MapLimits();
        app.MapQuotaSets();
        app.MapVolumeTypes();
        app.MapServices();
        app.MapImages();
        app.MapImageSchemas();
        app.MapSnapshots();
        app.MapVolumes();
        app.MapMessages();
        app.MapRuns();
        app.MapAdmin();
        app.MapOpenApiDocument();
        app.MapFindings();
        app.MapOperations();
        app.MapDashboard();
        return app;
    }

    /// <summary>What whoever starts the process can put right; without lines when the failure is about something else.</summary>
    internal static NotStarted WhyNot(Exception e) => e is IOException { InnerException: AddressInUseException }
        ? new(1, [$"{e.Message.TrimEnd('.')}. Stop what listens there, or say where else to listen with urls, for example ASPNETCORE_URLS=http://127.0.0.1:8775"])
        : new(78, WrongKeys(e));

    /// <summary>Why the process does not start.</summary>
    internal sealed record NotStarted(int ExitCode, IReadOnlyList<string> Lines);

    /// <summary>What is wrong with the configuration, one line per key; empty when the failure is about something else.</summary>
    private static List<string> WrongKeys(Exception e) => e switch
    {
        OptionsValidationException options => [.. options.Failures],
        AggregateException { InnerExceptions: var several } when several.All(i => i is OptionsValidationException) => [.. several.SelectMany(WrongKeys)],
        _ => [],
    };
}
