using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace SnapshotFlow.Api.Health;

/// <summary><c>/health/live</c>: the process runs. <c>/health/ready</c>: it can do its work; 503 names what does not answer.</summary>
internal static class HealthEndpoints
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    public static IServiceCollection AddHealth(this IServiceCollection services)
    {
        services.AddHealthChecks()
            .AddCheck<DatabaseAnswers>("database", timeout: Patience)
            .AddCheck<TemporalAnswers>("temporal", timeout: Patience);
        return services;
    }

    public static void MapHealth(this IEndpointRouteBuilder routes)
    {
        routes.MapHealthChecks("/health/live", new() { Predicate = _ => false, ResponseWriter = WriteAsync });
        routes.MapHealthChecks("/health/ready", new() { ResponseWriter = WriteAsync });
    }

    private static Task WriteAsync(HttpContext context, HealthReport report) => context.Response.WriteAsJsonAsync(
        new HealthView(
            report.Status is HealthStatus.Healthy ? "ok" : "unavailable",
            report.Entries.ToDictionary(e => e.Key, e => e.Value.Status is HealthStatus.Healthy ? "ok" : "does not answer")),
        context.RequestAborted);

    private sealed record HealthView(string Status, IReadOnlyDictionary<string, string> Checks);

    private sealed class DatabaseAnswers(Database database) : IHealthCheck
    {
        public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken)
        {
            try
            {
                await database.PingAsync(cancellationToken);
                return HealthCheckResult.Healthy();
            }
            catch (SnapshotFlowException e)
            {
                return HealthCheckResult.Unhealthy(e.Message);
            }
        }
    }

    private sealed class TemporalAnswers(ITemporalClient temporal) : IHealthCheck
    {
        public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken)
        {
            try
            {
                await temporal.WorkflowService.DescribeNamespaceAsync(
                    new() { Namespace = temporal.Options.Namespace }, new() { CancellationToken = cancellationToken, Retry = false });
                return HealthCheckResult.Healthy();
            }
            catch (Exception e) when (e is RpcException or InvalidOperationException)
            {
                return HealthCheckResult.Unhealthy(e.Message);
            }
        }
    }
}
