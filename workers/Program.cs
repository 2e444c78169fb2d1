using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using SnapshotFlow.Model;
using SnapshotFlow.Telemetry;
using SnapshotFlow.Workers;
using SnapshotFlow.Workers.Doctor;

try
{
    var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { Args = args, ContentRootPath = AppContext.BaseDirectory });
    if (args is ["migrate", ..])
    {
        return Migrations.Apply(builder.Configuration);
    }

    if (args is ["setup", .. var what])
    {
        return await Setup.RunAsync(what);
    }

    if (args is ["doctor", .. var looks])
    {
        return await DoctorCommand.RunAsync(looks, builder.Configuration, builder.Environment.IsDevelopment());
    }

    if (args is ["replay", .. var histories])
    {
        return await Histories.ReplayAsync(histories);
    }

    var configuration = WorkersConfiguration.Read(builder.Configuration, builder.Environment.IsDevelopment());
    builder.Services.AddSystemd();
    builder.Services.AddSingleton(TimeProvider.System);
    builder.AddLogLines();
    if (configuration.Temporal is { } temporal)
    {
        // Not for the guard: it must not depend on a network in any way.
        builder.AddTelemetry("snapshotflow-workers");
        builder.Services.AddTemporal(temporal);
        builder.Services.AddRoles(configuration, builder.Configuration);
    }
    else
    {
        builder.AddGuardProcess(configuration);
    }

    using var host = builder.Build();
    await host.Services.CheckAsync(configuration);
    host.Services.GetRequiredService<ILogger<WorkersOptions>>().Starting(configuration);
    await host.RunAsync();
    return 0;
}
catch (Exception e) when (e is InvalidConfigurationException or OptionsValidationException or SnapshotFlowException)
{
    await Console.Error.WriteLineAsync($"snapshotflow-workers cannot start:{Environment.NewLine}{e.Message}");
    return 78; // EX_CONFIG of sysexits.h: a supervisor need not try again.
}
