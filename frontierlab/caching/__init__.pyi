from . import history as history
from .charts import waste_figure as waste_figure
from .charts import what_if_figure as what_if_figure
from .efficiencies import efficiency as efficiency
from .explanation import explain as explain
from .explanation_chart import explain_figure as explain_figure
from .grids import what_if as what_if
from .html import page as page
