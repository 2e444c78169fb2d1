using Microsoft.Extensions.Configuration;
using SnapshotFlow.Drivers.Qga;
using SnapshotFlow.Workers.Notifications;
using Temporalio.Client;
using Temporalio.Common.EnvConfig;

namespace SnapshotFlow.Workers;

/// <summary>The configuration, read and checked as a whole before anything starts. <c>Temporal</c> is null for the role guard, which is alone and needs none.</summary>
internal sealed record WorkersConfiguration(
    IReadOnlySet<Role> Roles, WorkersOptions Workers, ComputeOptions Compute, QgaOptions GuestAgent, VolumeOptions Volume, NotificationOptions Notifications, TemporalClientConnectOptions? Temporal)
{
    /// <summary>Reads the configuration.</summary>
    /// <param name="configuration">All of it.</param>
    /// <param name="development">Whether this is a development environment.</param>
    /// <exception cref="InvalidConfigurationException">Lists every key that is missing or wrong.</exception>
    public static WorkersConfiguration Read(IConfiguration configuration, bool development)
    {
        var wrong = new List<string>();
        var workers = configuration.GetSection("Workers").Get<WorkersOptions>() ?? new();
        var compute = configuration.GetSection("Compute").Get<ComputeOptions>() ?? new();
        var guestAgent = configuration.GetSection("GuestAgent").Get<QgaOptions>() ?? new();
        var volume = configuration.GetSection("Volume").Get<VolumeOptions>() ?? new();

        var notifications = configuration.GetSection("Notifications").Get<NotificationOptions>() ?? new();

        var roles = ReadRoles(workers.Roles, wrong);
        if (roles.Contains(Role.Compute))
        {
            Require(compute.Host.Length > 0, "Compute:Host", "is missing: the name of this hypervisor, as servers are recorded with it", wrong);
            wrong.AddRange(guestAgent.Validate("GuestAgent"));
        }

        if (roles.Contains(Role.Compute) || roles.Contains(Role.Guard))
        {
            Require(Path.IsPathFullyQualified(compute.LeaseDirectory), "Compute:LeaseDirectory", $"'{compute.LeaseDirectory}' is not an absolute path", wrong);
        }

        if (roles.Contains(Role.Volume))
        {
            Require(volume.Backends.Count > 0, "Volume:Backends", "is empty: the role volume needs at least one back end", wrong);
            wrong.AddRange(volume.Backends.SelectMany((backend, i) => backend.Validate($"Volume:Backends:{i}")));
            Require(volume.Backends.Select(b => b.Name).Distinct().Count() == volume.Backends.Count, "Volume:Backends", "has two back ends of one name", wrong);
        }

        if (roles.Contains(Role.Control))
        {
            Require(workers.ReconcileInterval >= TimeSpan.FromSeconds(1), "Workers:ReconcileInterval", $"'{workers.ReconcileInterval}' is shorter than 00:00:01", wrong);
            wrong.AddRange(notifications.Validate("Notifications"));
        }

        if (workers.FailpointSocket is { } failpoints)
        {
            Require(development, "Workers:FailpointSocket", "makes activities fail on demand and is refused here; remove it, or set DOTNET_ENVIRONMENT=Development in a fault test", wrong);
            Require(Path.IsPathFullyQualified(failpoints), "Workers:FailpointSocket", $"'{failpoints}' is not an absolute path", wrong);
        }

        var temporal = roles.Contains(Role.Guard) ? null : ReadTemporal(wrong);
        return wrong.Count == 0 ? new(roles, workers, compute, guestAgent, volume, notifications, temporal) : throw new InvalidConfigurationException(wrong);
    }

    private static HashSet<Role> ReadRoles(string text, List<string> wrong)
    {
        var roles = new HashSet<Role>();
        foreach (var name in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            Require(Enum.TryParse<Role>(name, ignoreCase: true, out var role) && Enum.IsDefined(role), "Workers:Roles", $"'{name}' is not a role; use control, compute and volume, or guard alone", wrong);
            roles.Add(role);
        }

        Require(text.Length > 0, "Workers:Roles", "is missing; use any of control, compute, volume, separated by commas, or guard", wrong);
        Require(
            !roles.Contains(Role.Guard) || roles.Count == 1,
            "Workers:Roles",
            $"'{text}' has guard together with other roles; start a process of its own with Workers:Roles=guard, so that it does not die with what it guards",
            wrong);
        return roles;
    }

    private static TemporalClientConnectOptions ReadTemporal(List<string> wrong)
    {
        try
        {
            var options = ClientEnvConfig.LoadClientConnectOptions(new ClientEnvConfig.ProfileLoadOptions());
            Require(!string.IsNullOrEmpty(options.TargetHost), "TEMPORAL_ADDRESS", "is missing: host:port of the Temporal frontend", wrong);
            return options;
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException or FormatException or IOException)
        {
            wrong.Add($"TEMPORAL_ADDRESS and its companions cannot be read: {e.Message}");
            return new();
        }
    }

    private static void Require(bool holds, string key, string message, List<string> wrong)
    {
        if (!holds)
        {
            wrong.Add($"{key} {message}");
        }
    }
}

/// <summary>The configuration cannot work; the message names every key.</summary>
internal sealed class InvalidConfigurationException(IEnumerable<string> wrong) : Exception(string.Join(Environment.NewLine, wrong));
