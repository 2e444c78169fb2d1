using SnapshotFlow.Workflows;
using Temporalio.Client;
using Temporalio.Common.EnvConfig;
using Temporalio.Testing;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>
/// The Temporal server that the workflow tests run on: by default the embedded one with time skipping, started by the SDK's own test environment.
/// <c>SNAPSHOTFLOW_TEST_TEMPORAL=official</c> lets the SDK download its own test server; <c>TEMPORAL_ADDRESS</c> names a running server, which cannot skip time.
/// </summary>
public static class TemporalEnvironment
{
    // The SDK gives a server 5 s to listen. It needs less than one; on a machine that is busy with other things it may need more, and several at once do.
    private const int Attempts = 5;

    private static readonly SemaphoreSlim OneAtATime = new(1, 1);

    /// <summary>Whether the server can skip time.</summary>
    public static bool SkipsTime => Environment.GetEnvironmentVariable("TEMPORAL_ADDRESS") is null;

    /// <summary>Starts or reaches the server.</summary>
    public static async Task<WorkflowEnvironment> StartAsync()
    {
        if (!SkipsTime)
        {
            return new WorkflowEnvironment(await TemporalClient.ConnectAsync(ClientEnvConfig.LoadClientConnectOptions()));
        }

        var options = new WorkflowEnvironmentStartTimeSkippingOptions();
        if (Environment.GetEnvironmentVariable("SNAPSHOTFLOW_TEST_TEMPORAL") != "official")
        {
            options.TestServer.ExistingPath = Path.Combine(AppContext.BaseDirectory, "temporal-dev");
        }

        var environment = await StartAsync(options);
        await environment.Client.Connection.OperatorService.AddSearchAttributesAsync(new()
        {
            Namespace = environment.Client.Options.Namespace,
            SearchAttributes = { SearchAttributes.All.ToDictionary(a => a.Name, _ => Temporalio.Api.Enums.V1.IndexedValueType.Keyword) },
        });
        return environment;
    }

    private static async Task<WorkflowEnvironment> StartAsync(WorkflowEnvironmentStartTimeSkippingOptions options)
    {
        await OneAtATime.WaitAsync();
        try
        {
            for (var attempt = 1; ; attempt++)
            {
                try
                {
                    return await WorkflowEnvironment.StartTimeSkippingAsync(options);
                }
                catch (InvalidOperationException e) when (attempt < Attempts && e.Message.Contains("did not start within", StringComparison.Ordinal))
                {
                    // Once more.
                }
            }
        }
        finally
        {
            OneAtATime.Release();
        }
    }
}
